"""Asynchronous requests of an endpoint: send, list, read, and what came of one."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.async_invocations import (
    async_invocation_get,
    async_invocation_list,
    async_output_chunks,
)
from endpoints.services.async_config import TIMEOUT_DEFAULT_S
from endpoints.services.async_invocations import async_invocation_create
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView, page_response
from mlplatform.api.parsers import AnyBodyParser
from mlplatform.api.presenters.async_inference import async_accepted_json, async_invocation_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.async_inference import (
    AsyncAccepted,
    AsyncInvocation,
    AsyncInvocationParameters,
    AsyncInvocationQuery,
)
from mlplatform.api.serializers.lists import listed
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

TAG = "endpoints"
INPUT_LOCATION: Final = "X-Amzn-SageMaker-InputLocation"
OUTPUT_LOCATION: Final = "X-Amzn-SageMaker-OutputLocation"
FAILURE_LOCATION: Final = "X-Amzn-SageMaker-FailureLocation"
INFERENCE_ID: Final = "X-Amzn-SageMaker-Inference-Id"
TIMEOUT: Final = "X-Amzn-SageMaker-InvocationTimeoutSeconds"
ATTRIBUTES: Final = "X-Amzn-SageMaker-Custom-Attributes"
CONTENT_TYPE: Final = "X-Amzn-SageMaker-Content-Type"
ACCEPT: Final = "X-Amzn-SageMaker-Accept"
_BODY = {
    "text/csv": {"type": "string"},
    "application/json": {"type": "object"},
    "application/jsonlines": {"type": "string"},
}


class AsyncInvocationListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.VIEWER}
    parser_classes = [AnyBodyParser]
    content_negotiation_class = AnyAccept

    @operation(
        "async_invocation_list",
        "The newest asynchronous requests of an endpoint",
        answer=listed(AsyncInvocation),
        query=AsyncInvocationQuery,
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        asked = self.query(AsyncInvocationQuery)
        page = async_invocation_list(
            actor=self.actor,
            endpoint=name,
            status=asked["status"],
            limit=asked["limit"],
            cursor=asked.get("cursor"),
        )
        return page_response(page, async_invocation_json)

    @operation(
        "async_invocation_create",
        "Send a request that is answered by an object",
        request=_BODY,
        answer=AsyncAccepted,
        query=AsyncInvocationParameters,
        status=202,
        errors=[409, 413],
        examples=[example("A row", "5.1,3.5,1.4,0.2\n", media_type="text/csv")],
    )
    def post(self, request: Request, project: str, name: str) -> Response:
        """The body is the request, or there is none and the header `X-Amzn-SageMaker-InputLocation` names an object of
        this project. Further headers: `X-Amzn-SageMaker-Inference-Id`, `-InvocationTimeoutSeconds` (1 to 3600),
        `-Custom-Attributes`, `-Content-Type`, `-Accept`. The result, or the failure, is at the addresses answered.
        """
        headers = request.headers
        location = headers.get(INPUT_LOCATION)
        row = async_invocation_create(
            actor=self.actor,
            endpoint=name,
            body=None if location else request._request,
            input_uri=location or None,
            content_type=headers.get(CONTENT_TYPE) or headers.get("Content-Type") or "text/csv",
            accept=headers.get(ACCEPT) or _accept(headers.get("Accept")),
            inference_id=headers.get(INFERENCE_ID) or None,
            custom_attributes=headers.get(ATTRIBUTES) or "",
            variant=self.query(AsyncInvocationParameters).get("variant") or "",
            timeout_s=_timeout_s(headers.get(TIMEOUT)),
        )
        answer = Response(async_accepted_json(row), status=202)
        answer[OUTPUT_LOCATION] = row.output_uri
        answer[FAILURE_LOCATION] = row.failure_uri
        return answer


class AsyncInvocationView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("async_invocation_get", "One asynchronous request", answer=AsyncInvocation)
    def get(self, request: Request, project: str, name: str, inference_id: str) -> Response:
        row = async_invocation_get(actor=self.actor, endpoint=name, inference_id=inference_id)
        return Response(async_invocation_json(row))


class AsyncInvocationOutputView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "async_invocation_output",
        "What came of an asynchronous request: its result, or its failure object",
        answer={"type": "string", "format": "binary"},
        errors=[409],
        media_types=["application/octet-stream"],
    )
    def get(self, request: Request, project: str, name: str, inference_id: str) -> HttpResponseBase:
        row = async_invocation_get(actor=self.actor, endpoint=name, inference_id=inference_id)
        return DownloadResponse(
            async_output_chunks(invocation=row),
            filename=f"{row.uid}.out",
            content_type="application/octet-stream",
        )


def _accept(given: str | None) -> str:
    return "" if not given or given == "*/*" else given


def _timeout_s(given: str | None) -> Any:
    if not given:
        return TIMEOUT_DEFAULT_S
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise InvalidRequest.for_field(
            TIMEOUT, _("{value} is not a whole number of seconds", value=repr(given[:40]))
        )
    return int(given)
