"""Lives of an endpoint's model servers."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.endpoints import endpoint_get
from endpoints.selectors.replica_runs import replica_run_list
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, page_response
from mlplatform.api.presenters.replica_runs import replica_run_json
from mlplatform.api.schema import operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.serverless import ReplicaRun, ReplicaRunQuery

_COLD = {"": None, "cold": True, "other": False}


class ReplicaRunListView(ApiView):
    tag = "endpoints"
    access = {"GET": Rule.VIEWER}

    @operation(
        "replica_run_list", "When its model servers ran", answer=listed(ReplicaRun), query=ReplicaRunQuery
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        """One row per life of a model server: cold starts, and from when to when each one ran and why it ended."""
        asked = self.query(ReplicaRunQuery)
        endpoint = endpoint_get(actor=self.actor, name=name)
        cold = _COLD[asked.pop("start")]
        return page_response(replica_run_list(endpoint=endpoint, cold=cold, **asked), replica_run_json)
