"""Predictions and their counts.

The gateway answers invocations with an access key before they come here; browsers' come here, and go to the same
gateway by its trusted socket, so that both get the same answer.
"""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.endpoints import endpoint_get, replica_list
from endpoints.selectors.traffic import endpoint_traffic
from endpoints.services.invocations import BODY_MAX_BYTES, InvokeResult, endpoint_invoke
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.api.fields import NameField, StrictSerializer
from mlplatform.api.parsers import AnyBodyParser
from mlplatform.api.presenters.traffic import traffic_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.traffic import Traffic, TrafficQuery
from mlplatform.core.errors import TooLarge

TAG = "endpoints"
DEFAULT_CONTENT_TYPE = "text/csv"
_KEPT_HEADERS = ("x-amzn-errortype", "x-amzn-invoked-production-variant", "retry-after")
_BODY = {
    "text/csv": {"type": "string"},
    "application/json": {"type": "object"},
    "application/jsonlines": {"type": "string"},
}


class InvocationQuery(StrictSerializer):
    variant = NameField(required=False, help_text="Only this one answers.")


class InvocationView(ApiView):
    tag = TAG
    access = {"POST": Rule.VIEWER}
    parser_classes = [AnyBodyParser]
    content_negotiation_class = AnyAccept

    @operation(
        "endpoint_invoke",
        "Predict",
        request=_BODY,
        answer={},
        query=InvocationQuery,
        errors=[406, 424, 429],
        media_types=["application/json", "application/jsonlines"],
        invocation=True,
        examples=[
            example("A row", "5.1,3.5,1.4,0.2\n", media_type="text/csv"),
            example(
                "The same as JSON",
                {"instances": [{"features": [5.1, 3.5, 1.4, 0.2]}]},
                media_type="application/json",
            ),
        ],
    )
    def post(self, request: Request, project: str, name: str) -> HttpResponse:
        """The body by Content-Type, the answer by Accept; for k-NN also `application/json; verbose=true; rows=true`."""
        answer = endpoint_invoke(
            actor=self.actor,
            name=name,
            body=_body(request),
            content_type=request.headers.get("Content-Type") or DEFAULT_CONTENT_TYPE,
            accept=request.headers.get("Accept") or "application/json",
            variant=self.query(InvocationQuery).get("variant"),
        )
        return _passed_on(answer)


class EndpointMetricsView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("endpoint_metrics", "Requests, errors and latencies", answer=Traffic, query=TrafficQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        endpoint = endpoint_get(actor=self.actor, name=name)
        traffic = endpoint_traffic(endpoint=endpoint, **self.query(TrafficQuery))
        return Response(traffic_json(traffic, replicas=replica_list(endpoint=endpoint)))


def _body(request: Request) -> bytes:
    body: bytes = request._request.read(BODY_MAX_BYTES + 1)
    if len(body) > BODY_MAX_BYTES:
        raise TooLarge(f"The body is larger than {BODY_MAX_BYTES:,} bytes, the most that an endpoint takes")
    return body


def _passed_on(answer: InvokeResult) -> HttpResponse:
    response = HttpResponse(
        answer.body,
        status=answer.status,
        content_type=answer.headers.get("content-type", "application/octet-stream"),
    )
    for name in _KEPT_HEADERS:
        if name in answer.headers:
            response[name] = answer.headers[name]
    return response
