"""Errors of the inference path in the service's own form.

`{"__type": "ValidationError", "message": ...}` with the header `x-amzn-ErrorType`, as an SDK of the managed
service reads it, and beside it `code`, `detail` and `request_id` as the REST interface has them. Model server
and gateway both answer with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from endpoints.serving.exchange import Exchange
from endpoints.serving.framing import HeadRefused
from mlplatform.core.errors import DataError, ModelError, PlatformError, Throttled

Headers = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")
RETRY_AFTER_S = 1
MAX_BODY_BYTES = 6 * 1024 * 1024
"""What an invocation may carry, as in the managed service."""


class ValidationError(PlatformError):
    """The body or a parameter of an invocation is not acceptable. `row` counts from 1, `column` from 0."""

    code = "ValidationError"
    http_status = 400

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.row = row
        self.column = column

    @classmethod
    def of_data(cls, error: DataError, *, feature_names: Sequence[str] = ()) -> ValidationError:
        """With the feature's name beside the column's number, where names are given."""
        message, column = str(error), error.column or ""
        if column.isdecimal() and int(column) < len(feature_names):
            place = f"column '{column}'"
            message = message.replace(place, f"{place} ({feature_names[int(column)]})", 1)
        return cls(message, row=error.row, column=error.column)


class NotAcceptable(PlatformError):
    """No content type of `Accept` can be produced."""

    code = "NotAcceptable"
    http_status = 406


class ModelFault(ModelError):
    """The model, not the request, is at fault.

    Attributes:
        original_status: What the model's own server answered; 0 when it answered nothing.
        original_message: Its words.
    """

    def __init__(self, message: str, *, original_status: int, original_message: str) -> None:
        super().__init__(message)
        self.original_status = original_status
        self.original_message = original_message


def error_answer(error: PlatformError, request_id: str = "") -> tuple[int, Headers, bytes]:
    """Status, headers and body that tell a client of this error."""
    status = error_status(error)
    content: dict[str, Any] = {
        "__type": error.code,
        "message": error.message,
        "code": error.code,
        "detail": error.message,
    }
    headers = [JSON, (b"x-amzn-errortype", error.code.encode())]
    if request_id:
        content["request_id"] = request_id
        headers.append((b"x-request-id", request_id.encode("latin-1")))
    if isinstance(error, ModelFault):
        content |= {"OriginalStatusCode": error.original_status, "OriginalMessage": error.original_message}
    if isinstance(error, ValidationError) and (error.row is not None or error.column is not None):
        content |= {"row": error.row, "column": error.column}
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="mlplatform"'))
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None or isinstance(error, Throttled) or status == 503:
        headers.append((b"retry-after", b"%d" % (retry_after_s or RETRY_AFTER_S)))
    return status, headers, json.dumps(content, ensure_ascii=False).encode()


def error_status(error: PlatformError) -> int:
    return error.status if isinstance(error, HeadRefused) else error.http_status


def refuse(exchange: Exchange, error: PlatformError) -> None:
    """Answers `exchange` with `error`; the HTTP server's way out for whatever an application raises."""
    request_id = (exchange.header(b"x-request-id") or b"").decode("latin-1")
    status, headers, body = error_answer(error, request_id)
    exchange.respond(status, headers, body)
