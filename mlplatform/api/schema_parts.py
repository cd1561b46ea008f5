"""The parts of the OpenAPI document that are the same everywhere: names, path parameters, errors. Data only."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from mlplatform.core.names import NAME_MAX_LENGTH, NAME_PATTERN

NAME_SCHEMA = {"type": "string", "pattern": f"^{NAME_PATTERN}$", "minLength": 1, "maxLength": NAME_MAX_LENGTH}
BINARY = {"type": "string", "format": "binary"}

PROBLEMS: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "A field is not acceptable; `errors` names each one and says what would be."),
    401: ("NotAuthenticated", "No access key or login, or one that is unknown, revoked or expired."),
    403: ("AccessDenied", "The role in this project does not include this."),
    404: ("NotFound", "No such object, or one of a project that the caller is no member of: not told apart."),
    405: ("MethodNotAllowed", "The address does not have this method; `Allow` lists those it has."),
    406: ("NotAcceptable", "The answer cannot be given in any form that `Accept` lists."),
    408: ("RequestTimeout", "The body stopped coming; what came before may have been kept."),
    409: ("Conflict", "The name is taken, or the object is in a state or use that does not allow this."),
    412: ("PreconditionFailed", "Another version of the protocol is spoken here."),
    413: ("TooLarge", "The body is larger than allowed."),
    415: ("UnsupportedMediaType", "The body's Content-Type is not one that this operation takes."),
    422: ("KeyReused", "The `Idempotency-Key` was used before with another request."),
    423: ("Locked", "Another request is at it; `Retry-After` says when to come back."),
    424: ("ModelFault", "The model itself failed on this input."),
    429: ("Throttled", "Too many requests at once; `Retry-After` says when to come back."),
    503: ("ServiceUnavailable", "A part that this needs is away; `Retry-After` says when to come back."),
    507: ("InsufficientStorage", "A disk of the platform has no room for this; nothing of it was kept."),
}
PATH_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "project": ("Name of a project that the caller is a member of.", NAME_SCHEMA),
    "name": ("Name of the object.", NAME_SCHEMA),
    "username": ("A member's user name.", {"type": "string", "minLength": 1, "maxLength": 150}),
    "key_id": ("Id of an access key.", {"type": "string", "pattern": "^[A-Z0-9]{1,20}$"}),
    "table": ("Name of a table of the result.", NAME_SCHEMA),
    "path": (
        "Path of a file in the source.",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*([.][a-z]+)?$", "maxLength": 240},
    ),
    "inference_id": (
        "Id of an asynchronous request, the caller's own or the platform's.",
        {"type": "string", "pattern": "^[A-Za-z0-9_.:@=+~-]{1,64}$"},
    ),
    "uid": ("Id that the platform gave.", {"type": "string", "pattern": "^[0-9a-f]{26}$"}),
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A problem document (RFC 9457). `code` never changes; `detail` may be translated.",
    "required": ["type", "title", "status", "code", "detail", "errors", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "request_id": {"type": "string"},
    },
    "example": {
        "type": "about:blank",
        "title": "Bad request",
        "status": 400,
        "code": "ValidationException",
        "detail": "limit: 500 is out of range; use 1 to 100",
        "errors": [{"field": "limit", "message": "500 is out of range; use 1 to 100"}],
        "request_id": "0c3d5be1a2f44e6b9c7d8e90",
    },
}

INVOCATION_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An error of the inference path, as the managed service's runtime has it.",
    "required": ["__type", "message"],
    "properties": {
        "__type": {"type": "string"},
        "message": {"type": "string"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "OriginalStatusCode": {"type": "integer"},
        "OriginalMessage": {"type": "string"},
        "row": {"type": ["integer", "null"]},
        "column": {"type": ["string", "null"]},
    },
}

IDEMPOTENCY_KEY = OpenApiParameter(
    name="Idempotency-Key",
    location=OpenApiParameter.HEADER,
    required=False,
    type={"type": "string", "pattern": "^[!-~]{1,128}$"},
    description="Makes the request safe to repeat: for a day, the same key and body get the first answer.",
)
