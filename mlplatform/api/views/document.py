"""The OpenAPI document, the interactive page over it, and the answer for addresses that are none."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.core.errors import NotFound


class SchemaView(ApiView):
    """The document, as JSON or (`Accept: application/vnd.oai.openapi`) YAML. Not part of itself."""

    access = {"GET": Rule.PUBLIC}
    authentication_classes = []
    renderer_classes = [OpenApiJsonRenderer, OpenApiYamlRenderer]
    schema = None

    def get(self, request: Request) -> Response:
        return Response(_document())


class DocsView(ApiView):
    """Swagger UI from installed files: nothing from another host, no inline script or style."""

    access = {"GET": Rule.PUBLIC}
    authentication_classes = []
    content_negotiation_class = AnyAccept
    schema = None

    def get(self, request: Request) -> HttpResponse:
        return render(request._request, "api/docs.html")


class UnknownAddressView(ApiView):
    """Every address below `/api/v1/` that no route has: 404 as a problem document, for every method."""

    access = {method.upper(): Rule.PUBLIC for method in ApiView.http_method_names}
    authentication_classes = []
    content_negotiation_class = AnyAccept
    schema = None

    def get(self, request: Request, **kwargs: Any) -> Response:
        path = request.path[:200]
        hint = "" if path.endswith("/") else "; addresses end in a slash"
        raise NotFound(f"There is nothing at {path}{hint}")

    post = put = patch = delete = get


@cache
def _document() -> dict[str, Any]:
    """Built once: it changes with the code only, and anybody may ask for it."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    with translation.override("en"):
        found: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found
