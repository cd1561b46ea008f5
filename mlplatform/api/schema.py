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
from drf_spectacular.utils import Direction, OpenApiExample
from rest_framework.serializers import Serializer

from mlplatform.api.auth import Rule
from mlplatform.api.errors import PROBLEM_JSON
from mlplatform.api.schema_parts import (
    BINARY,
    IDEMPOTENCY_KEY,
    INVOCATION_ERROR_SCHEMA,
    PATH_PARAMETERS,
    PROBLEM_SCHEMA,
    PROBLEMS,
)

F = TypeVar("F", bound=Callable[..., Any])
Serializers = type[Serializer[Any]]


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
    files: Sequence[str]
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
    files: Sequence[str] = (),
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
        files: Media types in which the same may be asked for as a file.
        idempotent: The operation takes an `Idempotency-Key`.
        invocation: Errors may also be in the form of the managed service's runtime.
    """

    def describe(method: F) -> F:
        described = Operation(
            id=id,
            summary=summary,
            answer=answer,
            status=status,
            request=request,
            query=query,
            errors=errors,
            media_types=media_types,
            files=files,
            examples=examples,
            idempotent=idempotent,
            invocation=invocation,
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
        if described.files:
            as_file = {(described.status, media_type): BINARY for media_type in described.files}
            return {(described.status, "application/json"): described.answer, **as_file}
        return {described.status: described.answer}

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = [self.described.query] if self.described.query else []
        if self.described.idempotent:
            parameters.append(IDEMPOTENCY_KEY)
        return parameters

    def _resolve_path_parameters(self, variables: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": variable,
                "in": "path",
                "required": True,
                "description": PATH_PARAMETERS[variable][0],
                "schema": PATH_PARAMETERS[variable][1],
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
            found |= {401, 403, 429}
        if "{" in self.path:
            found.add(404)
        if described.query or described.request:
            found.add(400)
        if described.request:
            found |= {413, 415, 507}
        if described.idempotent:
            found |= {409, 422}
        if not described.media_types and not described.files:
            found.add(406)
        return found

    def _problem_response(self, status: int) -> dict[str, Any]:
        name, description = PROBLEMS[status]
        problem = self._component("Problem", ResolvedComponent.SCHEMA, PROBLEM_SCHEMA)
        content = {PROBLEM_JSON: {"schema": problem.ref}}
        if self.described.invocation:
            fault = self._component("InvocationError", ResolvedComponent.SCHEMA, INVOCATION_ERROR_SCHEMA)
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


class AccessKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mlplatform.api.auth.AccessKeyAuthentication"
    name = "accessKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access key as `<key id>.<secret>`; opens one project, with its user's role.",
        }
