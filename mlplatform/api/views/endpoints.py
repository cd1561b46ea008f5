"""Endpoints: create, list, read, update, delete, and what their replicas print."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.models import Endpoint as StoredEndpoint
from endpoints.selectors.endpoints import (
    endpoint_get,
    endpoint_list,
    endpoint_row_get,
    endpoint_waiting_reason,
    replica_list,
)
from endpoints.selectors.replica_logs import replica_log_get, replica_logs
from endpoints.selectors.replica_runs import elastic_states
from endpoints.services.endpoints import (
    UNCHANGED,
    AsyncInferenceRequest,
    CaptureRequest,
    ServerlessRequest,
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_update,
    endpoint_update_weights,
)
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, list_response, page_response
from mlplatform.api.presenters.endpoints import endpoint_json, endpoint_summary_json, replica_log_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.endpoints import (
    Endpoint,
    EndpointLogQuery,
    EndpointPatch,
    EndpointQuery,
    EndpointRequest,
    EndpointSummary,
    ReplicaLog,
)
from mlplatform.api.serializers.lists import listed
from mlplatform.api.views.data_capture import capture_fields
from mlplatform.core.logs import log_read, log_tails

TAG = "endpoints"
_SERVERLESS = {
    "model": "iris",
    "serverless": {"memory_mb": 2048, "max_concurrency": 5, "idle_after_s": 300},
}


class EndpointListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation("endpoint_list", "Endpoints", answer=listed(EndpointSummary), query=EndpointQuery)
    def get(self, request: Request, project: str) -> Response:
        return page_response(
            endpoint_list(actor=self.actor, **self.query(EndpointQuery)), endpoint_summary_json
        )

    @operation(
        "endpoint_create",
        "Deploy models at a stable address",
        request=EndpointRequest,
        answer=Endpoint,
        status=201,
        idempotent=True,
        examples=[
            example("One model", {"name": "iris", "variants": [{"model": "iris"}]}),
            example("Serverless", {"name": "iris", "variants": [_SERVERLESS]}),
            example(
                "Asynchronous, without a process while nobody asks",
                {"name": "iris", "variants": [{"model": "iris", "idle_after_s": 300}], "async_inference": {}},
            ),
        ],
    )
    def post(self, request: Request, project: str) -> Response:
        """Answers at once with status Creating; InService when every replica answers."""
        asked = self.body(EndpointRequest)
        asked["variants"] = _variants(asked["variants"])
        asked["async_inference"] = _asynchronous(asked.get("async_inference"))
        if "data_capture" in asked:
            asked["data_capture"] = CaptureRequest(**capture_fields(asked["data_capture"]))
        return self.create_once(lambda: self._created(asked))

    def _created(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = endpoint_create(actor=self.actor, **asked)
        return _endpoint_json(endpoint_get(actor=self.actor, name=made.name))


class EndpointView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "PATCH": Rule.EDITOR, "DELETE": Rule.EDITOR}

    @operation("endpoint_get", "One endpoint", answer=Endpoint)
    def get(self, request: Request, project: str, name: str) -> Response:
        return Response(_endpoint_json(endpoint_get(actor=self.actor, name=name)))

    @operation(
        "endpoint_update",
        "Change variants, weights or counts without dropping a request",
        request=EndpointPatch,
        answer=Endpoint,
        errors=[409],
        examples=[
            example("Another model", {"variants": [{"model": "iris-2"}]}),
            example("Another number of instances", {"counts": {"AllTraffic": 2}}),
            example("Without a process while nobody asks", {"variants": [_SERVERLESS]}),
        ],
    )
    def patch(self, request: Request, project: str, name: str) -> Response:
        """The old replicas answer until the new ones do; if those fail, the endpoint rolls back."""
        asked = self.body(EndpointPatch)
        if "variants" in asked:
            updated = endpoint_update(
                actor=self.actor,
                name=name,
                variants=_variants(asked["variants"]),
                async_inference=_asynchronous(asked["async_inference"])
                if "async_inference" in asked
                else UNCHANGED,
            )
            return Response(_endpoint_json(updated))
        return Response(_endpoint_json(endpoint_update_weights(actor=self.actor, name=name, **asked)))

    @operation("endpoint_delete", "Delete an endpoint", status=204, errors=[409])
    def delete(self, request: Request, project: str, name: str) -> Response:
        """It answers no more at once, and is gone when its model servers have ended."""
        endpoint_delete(actor=self.actor, name=name)
        return Response(status=204)


class EndpointLogView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("endpoint_logs", "What the replicas print", answer=listed(ReplicaLog), query=EndpointLogQuery)
    def get(self, request: Request, project: str, name: str) -> Response:
        """The last lines of every replica's log, then of the newest that are gone; with `replica` and `after`, one log
        from an offset.
        """
        asked = self.query(EndpointLogQuery)
        endpoint = endpoint_row_get(actor=self.actor, name=name)
        if "replica" in asked:
            found = [replica_log_get(endpoint=endpoint, uid=asked["replica"])]
        else:
            found = replica_logs(endpoint=endpoint)
        if "after" in asked:
            pieces = [log_read(stream=one.log, after=asked["after"]) for one in found]
        else:
            pieces = log_tails(streams=[one.log for one in found], n_lines=asked["lines"])
        return list_response([replica_log_json(*pair) for pair in zip(found, pieces, strict=True)])


def _variants(asked: list[dict[str, Any]]) -> list[VariantRequest]:
    return [
        VariantRequest(**(variant | {"serverless": ServerlessRequest(**variant["serverless"])}))
        if "serverless" in variant
        else VariantRequest(**variant)
        for variant in asked
    ]


def _asynchronous(asked: dict[str, Any] | None) -> AsyncInferenceRequest | None:
    return None if asked is None else AsyncInferenceRequest(**asked)


def _endpoint_json(endpoint: StoredEndpoint) -> dict[str, Any]:
    replicas = replica_list(endpoint=endpoint)
    return endpoint_json(
        endpoint,
        replicas=replicas,
        elastic=elastic_states(endpoint=endpoint, replicas=replicas),
        waiting_reason=endpoint_waiting_reason(endpoint=endpoint),
    )
