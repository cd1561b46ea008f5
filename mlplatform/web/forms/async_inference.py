"""The part of the endpoint form that makes it asynchronous ⇄ the request of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from endpoints.models import EndpointConfig
from endpoints.services.async_config import CONCURRENT_DEFAULT, async_request_of
from endpoints.services.endpoints import AsyncInferenceRequest
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _
from mlplatform.web.forms.training_jobs import folded

_CONCURRENT = "async_max_concurrent"


@dataclass
class AsyncForm:
    """As a person fills it in: texts until they are checked."""

    wanted: bool = False
    output_uri: str = ""
    failure_uri: str = ""
    max_concurrent: str = str(CONCURRENT_DEFAULT)

    @classmethod
    def from_post(cls, post: Mapping[str, Any]) -> AsyncForm:
        return cls(
            wanted=post.get("asynchronous") == "1",
            output_uri=folded(str(post.get("async_output_uri", "")))[:900],
            failure_uri=folded(str(post.get("async_failure_uri", "")))[:900],
            max_concurrent=folded(str(post.get(_CONCURRENT, CONCURRENT_DEFAULT)))[:20],
        )

    @classmethod
    def from_config(cls, config: EndpointConfig) -> AsyncForm:
        asked = async_request_of(config)
        if asked is None:
            return cls()
        return cls(
            True, asked.output_uri or "", asked.failure_uri or "", str(asked.max_concurrent_per_instance)
        )

    def request(self) -> AsyncInferenceRequest | None:
        """None for an endpoint that answers at once. Raises InvalidRequest for a text that is no number."""
        if not self.wanted:
            return None
        text = self.max_concurrent
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InvalidRequest.for_field(
                "async_inference.max_concurrent_per_instance",
                _("{value} is not a whole number", value=repr(text[:40])),
            )
        return AsyncInferenceRequest(
            output_uri=self.output_uri or None,
            failure_uri=self.failure_uri or None,
            max_concurrent_per_instance=int(text),
        )

    def body(self) -> dict[str, Any]:
        """What a REST request has of it."""
        if not self.wanted:
            return {}
        given = {"output_uri": self.output_uri, "failure_uri": self.failure_uri}
        kept: dict[str, Any] = {name: value for name, value in given.items() if value}
        if self.max_concurrent.isdecimal():
            kept["max_concurrent_per_instance"] = int(self.max_concurrent)
        return {"async_inference": kept}
