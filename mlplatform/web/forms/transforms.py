"""The form of a new transform job: texts as they were typed ⇄ the request of the service, which has the rules."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from endpoints.services.transforms import TransformRequest
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.text import text as _
from mlplatform.web.forms.training_jobs import folded

NUMBERS: Final = ("max_payload_mb", "max_concurrent", "max_runtime_s")
_LONGEST: Final = 1100
_MADE: Final = re.compile(r"-\d{4}(?:-\d\d){5}-[0-9a-f]{4}$")


@dataclass
class TransformForm:
    """One transform job as a person fills it in; every value is text until the service has checked it."""

    name: str = ""
    model: str = ""
    dataset: str = ""
    uri: str = ""
    content_type: str = ""
    split_type: str = "Line"
    accept: str = ""
    batch_strategy: str = "MultiRecord"
    max_payload_mb: str = "6"
    max_concurrent: str = "1"
    input_filter: str = "$"
    output_filter: str = "$"
    join: str = "None"
    instance_type: str = "local.cpu"
    max_runtime_s: str = "86400"

    @classmethod
    def from_query(cls, values: Mapping[str, Any]) -> TransformForm:
        """Filled with what a post or an address gives, the rest as it is by default."""
        given = {name: folded(str(values[name]))[:_LONGEST] for name in asdict(cls()) if name in values}
        return cls(**given)

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> TransformForm:
        """Filled with a request, as `transform_job_clone_request` makes it."""
        texts = {name: request.get(name) for name in asdict(cls())}
        return cls(**{name: "" if value is None else str(value) for name, value in texts.items()})

    @property
    def is_named_by_hand(self) -> bool:
        """Whether the name is somebody's own, and not one made of a model and the time."""
        return bool(self.name) and _MADE.search(self.name) is None

    def request(self) -> TransformRequest:
        """What the service is asked. Raises InvalidRequest for texts that are no number."""
        arguments = self._arguments()
        errors = [
            FieldError(name, _("{value} is not a whole number", value=repr(value[:40])))
            for name in NUMBERS
            if isinstance(value := arguments[name], str)
        ]
        if errors:
            raise InvalidRequest.for_fields(errors)
        return TransformRequest(**arguments)

    def preview_request(self) -> TransformRequest:
        """The same for a preview, which asks for no number."""
        return TransformRequest(
            **{name: value for name, value in self._arguments().items() if name not in NUMBERS}
        )

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same job as a curl command."""
        default = TransformForm()._arguments()
        body = {name: value for name, value in self._arguments().items() if value != default[name]}
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/transform-jobs/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}"
        )

    def _arguments(self) -> dict[str, Any]:
        """With the texts where they are no numbers."""
        numbers = {name: _number(getattr(self, name)) for name in NUMBERS}
        optional = {name: getattr(self, name) or None for name in ("name", "dataset", "uri")}
        return asdict(self) | numbers | optional


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else text
