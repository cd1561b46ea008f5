"""The form of data capture ⇄ the fields of its service, and its part of the form of a new endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from endpoints.services.data_capture import CaptureRequest
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _
from mlplatform.web.forms.training_jobs import folded

NEW_PERCENT: Final = "data_capture.sampling_percentage"
"""The field of a request for a new endpoint."""


@dataclass
class CaptureForm:
    """As a person fills it in: texts until they are checked."""

    enabled: bool = False
    sampling_percentage: str = "100"
    captures_input: bool = True
    captures_output: bool = True
    csv_content_types: str = ""
    json_content_types: str = ""
    destination: str = ""

    @classmethod
    def from_request(cls, asked: CaptureRequest, *, destination: str) -> CaptureForm:
        """Of what holds now; `destination` where none was chosen."""
        return cls(
            enabled=asked.is_on,
            sampling_percentage=str(asked.sampling_percent),
            captures_input=asked.captures_input,
            captures_output=asked.captures_output,
            csv_content_types=_joined(asked.csv_content_types),
            json_content_types=_joined(asked.json_content_types),
            destination=asked.destination or destination,
        )

    @classmethod
    def from_post(cls, post: Mapping[str, Any]) -> CaptureForm:
        def text(name: str, longest: int) -> str:
            return folded(str(post.get(name, "")))[:longest]

        return cls(
            enabled=post.get("enabled") == "1",
            sampling_percentage=text("sampling_percentage", 20),
            captures_input=post.get("captures_input") == "1",
            captures_output=post.get("captures_output") == "1",
            csv_content_types=text("csv_content_types", 3000),
            json_content_types=text("json_content_types", 3000),
            destination=text("destination", 900),
        )

    def changes(self) -> dict[str, Any]:
        """Fields of the service. Raises InvalidRequest for a text that is no number."""
        return {
            "is_on": self.enabled,
            "sampling_percent": _percent(self.sampling_percentage, field="sampling_percentage"),
            "captures_input": self.captures_input,
            "captures_output": self.captures_output,
            "csv_content_types": _split(self.csv_content_types),
            "json_content_types": _split(self.json_content_types),
            "destination": self.destination or None,
        }


@dataclass
class NewCaptureForm:
    """Of a new endpoint: whether its requests are captured from the first one on, and which share of them."""

    wanted: bool = False
    percent: str = "100"

    @classmethod
    def from_post(cls, post: Mapping[str, Any]) -> NewCaptureForm:
        percent = folded(str(post.get("capture_percent", cls.percent)))[:20]
        return cls(wanted=post.get("capture") == "1", percent=percent)

    def request(self) -> CaptureRequest | None:
        """None where nothing is captured. Raises InvalidRequest for a text that is no number."""
        if not self.wanted:
            return None
        return CaptureRequest(sampling_percent=_percent(self.percent, field=NEW_PERCENT))

    def body(self) -> dict[str, Any]:
        """What a REST request has of it."""
        if not self.wanted:
            return {}
        percent = int(self.percent) if _is_whole(self.percent) else self.percent
        return {"data_capture": {"enabled": True, "sampling_percentage": percent}}


def _percent(text: str, *, field: str) -> int:
    if not _is_whole(text):
        said = _("{value} is not accepted; use whole numbers from 1 to 100", value=repr(text))
        raise InvalidRequest.for_field(field, said)
    return int(text)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _joined(types: Sequence[str]) -> str:
    return ", ".join(types)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
