"""The OpenAPI document: what each operation takes, answers and refuses, read from `@operation` on its method.

Used by drf-spectacular when it builds `/api/v1/schema/`; nothing here runs while another request is answered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction, OpenApiExample, OpenApiParameter
from rest_framework.serializers import Serializer

from mlplatform.api.auth import Rule
from mlplatform.api.errors import PROBLEM_JSON
from mlplatform.core.names import NAME_MAX_LENGTH, NAME_PATTERN

F = TypeVar("F", bound=Callable[..., Any])
Serializers = type[Serializer[Any]]
NAME_SCHEMA = {"type": "string", "pattern": f"^{NAME_PATTERN}$", "minLength": 1, "maxLength": NAME_MAX_LENGTH}
BINARY = {"type": "string", "format": "binary"}

_PROBLEMS: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "A field is not acceptable; `errors` names each one and says what would be."),
    401: ("NotAuthenticated", "No access key or login, or one that is unknown, revoked or expired."),
    403: ("AccessDenied", "The role in this project does not include this."),
    404: ("NotFound", "No such object, or one of a project that the caller is no member of: not told apart."),
    405: ("MethodNotAllowed", "The address does not have this method; `Allow` lists those it has."),
    406: ("NotAcceptable", "The answer cannot be given in any form that `Accept` lists."),
    409: ("Conflict", "The name is taken, or the object is in a state or use that does not allow this."),
    413: ("TooLarge", "The body is larger than allowed."),
    415: ("UnsupportedMediaType", "The body's Content-Type is not one that this operation takes."),
    422: ("KeyReused", "The `Idempotency-Key` was used before with another request."),
    424: ("ModelFault", "The model itself failed on this input."),
    429: ("Throttled", "Too many requests at once; `Retry-After` says when to come back."),
    503: ("ServiceUnavailable", "A part that this needs is away; `Retry-After` says when to come back."),
}
_PATH_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "project": ("Name of a project that the caller is a member of.", NAME_SCHEMA),
    "name": ("Name of the object.", NAME_SCHEMA),
    "username": ("A member's user name.", {"type": "string", "minLength": 1, "maxLength": 150}),
    "key_id": ("Id of an access key.", {"type": "string", "pattern": "^[A-Z0-9]{1,20}$"}),
    "uid": ("Id that the platform gave.", {"type": "string", "pattern": "^[0-9a-f]{26}$"}),
}
_PROBLEM_SCHEMA: dict[str, Any] = {
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

_INVOCATION_ERROR: dict[str, Any] = {
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


@dataclass(frozen=True)
class Operation:
    """What the document says of one method of one view; see `operation`."""

    id: str
    summary: str
    answer: Serializers | dict[str, Any] | None
    status: int
    request: Serializers | Mapping[str, Any] | None
    query: Serializers | None
    errors: Sequence[int]
    media_types: Sequence[str]
    examples: Sequence[OpenApiExample]
    idempotent: bool
    invocation: bool


def operation(
    id: str,
    summary: str,
    *,
    answer: Serializers | dict[str, Any] | None = None,
    status: int = 200,
    request: Serializers | Mapping[str, Any] | None = None,
    query: Serializers | None = None,
    errors: Sequence[int] = (),
    media_types: Sequence[str] = (),
    examples: Sequence[OpenApiExample] = (),
    idempotent: bool = False,
    invocation: bool = False,
) -> Callable[[F], F]:
    """Describes a view's method.

    Args:
        answer: Serializer or schema of the successful answer; None where it has no body.
        request: Serializer of the JSON body, or one per media type.
        errors: Statuses beyond those that follow from rule, path, query and body.
        media_types: Of the answer, where it is not JSON.
        idempotent: The operation takes an `Idempotency-Key`.
        invocation: Errors may also be in the form of the managed service's runtime.
    """

    def describe(method: F) -> F:
        described = Operation(
            id, summary, answer, status, request, query, errors, media_types, examples, idempotent, invocation
        )
        method.operation = described  # type: ignore[attr-defined]
        return method

    return describe


def example(
    name: str, value: Any, *, of: Literal["request", "answer"] = "request", media_type: str | None = None
) -> OpenApiExample:
    return OpenApiExample(
        name, value=value, request_only=of == "request", response_only=of == "answer", media_type=media_type
    )


class OperationSchema(AutoSchema):
    """Builds an operation of the document from the `@operation` on the view's method and the view's rule."""

    @property
    def described(self) -> Operation:
        found: Operation = getattr(self.view, self.method.lower()).operation
        return found

    @property
    def rule(self) -> Rule:
        found: Rule = self.view.access[self.method]  # type: ignore[attr-defined]
        return found

    def get_operation_id(self) -> str:
        return self.described.id

    def get_summary(self) -> str:
        return self.described.summary

    def get_description(self) -> str:  # type: ignore[override]
        return inspect.getdoc(getattr(self.view, self.method.lower())) or ""

    def get_tags(self) -> list[str]:
        return [self.view.tag]  # type: ignore[attr-defined]

    def get_auth(self) -> list[dict[str, Any]]:
        return [{}] if self.rule is Rule.PUBLIC else super().get_auth()

    def get_request_serializer(self) -> Any:
        return self.described.request

    def get_examples(self) -> list[OpenApiExample]:
        return list(self.described.examples)

    def get_response_serializers(self) -> Any:
        described = self.described
        if described.answer is None:
            return {described.status: None}
        if described.media_types:
            return {(described.status, *described.media_types): described.answer}
        return {described.status: described.answer}

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = [self.described.query] if self.described.query else []
        if self.described.idempotent:
            parameters.append(_IDEMPOTENCY_KEY)
        return parameters

    def _resolve_path_parameters(self, variables: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": variable,
                "in": "path",
                "required": True,
                "description": _PATH_PARAMETERS[variable][0],
                "schema": _PATH_PARAMETERS[variable][1],
            }
            for variable in variables
        ]

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if getattr(serializer, "strict", False):
            schema["additionalProperties"] = False
        return schema

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        for status in sorted(self._refusals()):
            responses[str(status)] = self._problem_response(status)
        for code, response in responses.items():
            response.setdefault("description", "") if "$ref" not in response else None
            if code.startswith("2") and not response.get("description"):
                response["description"] = self.described.summary
        return responses

    def _refusals(self) -> set[int]:
        """Statuses that follow from what the operation is."""
        described = self.described
        found = {405, 503, *described.errors}
        if self.rule is not Rule.PUBLIC:
            found |= {401, 403}
        if "{" in self.path:
            found.add(404)
        if described.query or described.request:
            found.add(400)
        if described.request:
            found |= {413, 415}
        if described.idempotent:
            found |= {409, 422}
        if not described.media_types:
            found.add(406)
        return found

    def _problem_response(self, status: int) -> dict[str, Any]:
        name, description = _PROBLEMS[status]
        problem = self._component("Problem", ResolvedComponent.SCHEMA, _PROBLEM_SCHEMA)
        content = {PROBLEM_JSON: {"schema": problem.ref}}
        if self.described.invocation:
            fault = self._component("InvocationError", ResolvedComponent.SCHEMA, _INVOCATION_ERROR)
            content["application/json"] = {"schema": fault.ref}
            return {"description": description, "content": content}
        return dict(
            self._component(
                name, ResolvedComponent.RESPONSE, {"description": description, "content": content}
            ).ref
        )

    def _component(self, name: str, kind: str, schema: dict[str, Any]) -> ResolvedComponent:
        component = ResolvedComponent(name, kind, schema, name)  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        return component


_IDEMPOTENCY_KEY = OpenApiParameter(
    name="Idempotency-Key",
    location=OpenApiParameter.HEADER,
    required=False,
    type={"type": "string", "pattern": "^[!-~]{1,128}$"},
    description="Makes the request safe to repeat: for a day, the same key and body get the first answer.",
)


class AccessKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mlplatform.api.auth.AccessKeyAuthentication"
    name = "accessKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access key as `<key id>.<secret>`; opens one project, with its user's role.",
        }
