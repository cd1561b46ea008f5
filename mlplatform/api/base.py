"""What every view of the REST face begins with: rules, strict parsing, one form of lists, the acting member.

A view authenticates (here), loads through a selector, validates with a serializer, calls one service, renders
with a presenter. It declares `access` (a `Rule` per method); without a rule nobody gets in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from django.db.models import Model
from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.schemas.inspectors import ViewInspector
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from mlplatform.api.auth import Rule
from mlplatform.api.idempotency import answer_once
from mlplatform.api.parsers import LimitedUploadHandler, StrictJSONParser, UploadParser
from mlplatform.api.schema import OperationSchema
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.pages import Page
from mlplatform.core.people.access import Actor

M = TypeVar("M", bound=Model)


class AnyAccept(DefaultContentNegotiation):
    """For answers that are files or streams: whatever Accept says, the answer is what it is."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type or ""


class ApiView(APIView):
    """Base of all views of this face."""

    access: ClassVar[Mapping[str, Rule]] = {}
    query_serializer: ClassVar[type[Serializer[Any]] | None] = None
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    parser_classes: Sequence[type[BaseParser]] = [StrictJSONParser]
    renderer_classes: Sequence[type[BaseRenderer]] = [JSONRenderer]
    content_negotiation_class: type[BaseContentNegotiation] = DefaultContentNegotiation
    schema: ViewInspector | None = OperationSchema()  # None: not in the document

    @property
    def actor(self) -> Actor:
        """The member who calls, in the project of the path."""
        actor: Actor = self.request.actor  # type: ignore[attr-defined]
        return actor

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        if any(issubclass(parser, UploadParser) for parser in self.parser_classes):
            # Before anything reads the form, which the check of the CSRF token already does.
            request.upload_handlers = [LimitedUploadHandler(request)]
        return super().initialize_request(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.setdefault("Cache-Control", "private, no-store")
        return answer

    def body(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated body. Raises ValidationError that names each field."""
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def query(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated query string; a field given twice is refused, but for those of `repeated`.

        Raises as `body`, InvalidRequest.
        """
        params = self.request.query_params
        repeated: frozenset[str] = getattr(serializer_class, "repeated", frozenset())
        twice = [name for name, values in params.lists() if len(values) > 1 and name not in repeated]
        if twice:
            raise InvalidRequest.for_fields(FieldError(name, "is given more than once") for name in twice)
        lists = {name: params.getlist(name) for name in repeated if name in params}
        serializer = serializer_class(data={**params.dict(), **lists})
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def create_once(self, create: Callable[[], Mapping[str, Any]], *, hide: Sequence[str] = ()) -> Response:
        """201 with what `create` returns; under an `Idempotency-Key` it is done once and remembered."""
        return answer_once(request=self.request, actor=self.actor, create=create, hide=hide)


def page_response(page: Page[M], present: Callable[[M], Mapping[str, Any]]) -> Response:
    """One page of a list in the form all lists have."""
    return Response({"items": [present(item) for item in page.items], "next": page.next, "count": page.count})


def list_response(items: Sequence[Mapping[str, Any]]) -> Response:
    """A list that is short by nature and never paged, in the same form."""
    return Response({"items": list(items), "next": None, "count": len(items)})
