"""The new-evaluation form: texts as they were typed ⇄ the request of the service, whose rules are not repeated here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.text import text as _
from mlplatform.web.forms.training_jobs import folded

NUMBERS: Final = ("k_max", "batches", "single_requests")
_MADE: Final = re.compile(r"-\d{4}(?:-\d\d){5}-[0-9a-f]{4}$")


@dataclass
class EvaluationForm:
    """One evaluation as a person fills it in; every value is text until the service has checked it."""

    name: str = ""
    endpoint: str = ""
    variant: str = ""
    dataset: str = ""
    k_max: str = ""
    batches: str = "100"
    single_requests: str = "2000"

    @classmethod
    def from_query(cls, values: Mapping[str, Any]) -> EvaluationForm:
        """Filled with what a post or an address gives, the rest as it is by default."""
        given = {name: folded(str(values[name]))[:80] for name in asdict(cls()) if name in values}
        return cls(**given)

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> EvaluationForm:
        """Filled with a request, as `evaluation_repeat_request` makes it."""
        texts = {name: request.get(name) for name in asdict(cls())}
        return cls(**{name: "" if value is None else str(value) for name, value in texts.items()})

    @property
    def is_named_by_hand(self) -> bool:
        """Whether the name is somebody's own, and not one made of an endpoint and the time."""
        return bool(self.name) and _MADE.search(self.name) is None

    def service_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `evaluation_create`. Raises InvalidRequest for texts that are no number."""
        arguments = self._arguments()
        errors = [
            FieldError(name, _("{value} is not a whole number", value=repr(value[:40])))
            for name in NUMBERS
            if isinstance(value := arguments[name], str)
        ]
        if errors:
            raise InvalidRequest.for_fields(errors)
        return arguments

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same evaluation as a curl command."""
        body = {name: value for name, value in self._arguments().items() if value not in (None, "")}
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/evaluations/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}"
        )

    def _arguments(self) -> dict[str, Any]:
        """With the texts where they are no numbers."""
        return {
            "name": self.name or None,
            "endpoint": self.endpoint,
            "variant": self.variant,
            "dataset": self.dataset,
            "k_max": _number(self.k_max) if self.k_max else None,
            "batches": _number(self.batches),
            "single_requests": _number(self.single_requests),
        }


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else text
