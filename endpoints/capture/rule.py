"""What is captured of an endpoint, as the routing table carries it; and how a body is written for its content type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import orjson

Encoding = Literal["CSV", "JSON", "BASE64"]
CSV_TYPES: Final = ("text/csv",)
JSON_TYPES: Final = ("application/json",)
_KNOWN_MAX: Final = 256


@dataclass(frozen=True)
class CaptureRule:
    """What is captured of the requests of one endpoint.

    Attributes:
        destination: Folder, `s3://bucket/prefix`, below which files are stored by endpoint, variant and hour.
        sampling_percent: Share of the requests, 1 to 100, drawn for each of them anew.
        csv_content_types, json_content_types: Media types whose bodies are written as text; others are in base64.
    """

    destination: str
    sampling_percent: int = 100
    captures_input: bool = True
    captures_output: bool = True
    csv_content_types: tuple[str, ...] = CSV_TYPES
    json_content_types: tuple[str, ...] = JSON_TYPES


@dataclass(frozen=True)
class CapturePlace:
    """Whose records a spool file has: those of one variant, for one destination."""

    project: str
    endpoint: str
    endpoint_id: int
    variant: str
    destination: str


@dataclass(frozen=True)
class Frame:
    """What stands before and after a body of one content type in a record; after one in base64 something else."""

    is_text: bool
    before: bytes
    after: bytes
    after_base64: bytes


class LiveCapture:
    """The rule of an endpoint as the gateway applies it, with what need not be found out for every request.

    Attributes:
        share: Of the requests, 0 to 1.
    """

    def __init__(self, rule: CaptureRule, *, project: str, endpoint: str, endpoint_id: int) -> None:
        self.rule = rule
        self.share = rule.sampling_percent / 100
        self.endpoint_id = endpoint_id
        self._project = project
        self._endpoint = endpoint
        self._places: dict[str, CapturePlace] = {}
        self._frames: dict[tuple[str, bytes], Frame] = {}

    def place(self, variant: str) -> CapturePlace:
        found = self._places.get(variant)
        if found is None:
            found = CapturePlace(
                self._project, self._endpoint, self.endpoint_id, variant, self.rule.destination
            )
            self._places[variant] = found
        return found

    def frame(self, mode: str, content_type: bytes) -> Frame:
        """How a body of this content type is written; `mode` is INPUT or OUTPUT."""
        key = (mode, content_type)
        found = self._frames.get(key)
        if found is None:
            if len(self._frames) >= _KNOWN_MAX:  # a caller may send whatever comes to its mind
                self._frames.clear()
            found = self._frames[key] = _frame(self.rule, mode, content_type)
        return found


def encoding_of(rule: CaptureRule, content_type: bytes) -> Encoding:
    """Parameters such as `charset` make no difference."""
    media_type = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if media_type in rule.csv_content_types:
        return "CSV"
    return "JSON" if media_type in rule.json_content_types else "BASE64"


def _frame(rule: CaptureRule, mode: str, content_type: bytes) -> Frame:
    encoding = encoding_of(rule, content_type)
    observed = orjson.dumps(content_type.decode("latin-1"))
    return Frame(
        is_text=encoding != "BASE64",
        before=b'{"observedContentType":%b,"mode":"%b","data":' % (observed, mode.encode()),
        after=b',"encoding":"%b"}' % encoding.encode(),
        after_base64=b',"encoding":"BASE64"}',
    )
