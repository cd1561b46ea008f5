"""Table runs: send a whole dataset through an endpoint, read predictions beside labels."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.endpoints import endpoint_get
from endpoints.selectors.tables import table_run_get, table_run_list, table_run_rows
from endpoints.services.tables import table_run_create
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, list_response
from mlplatform.api.presenters.tables import table_run_json
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.tables import TableRow, TableRowQuery, TableRun, TableRunRequest

TAG = "endpoints"


class TableRunListView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER, "POST": Rule.EDITOR}

    @operation("table_run_list", "The newest table runs of an endpoint", answer=listed(TableRun))
    def get(self, request: Request, project: str, name: str) -> Response:
        endpoint = endpoint_get(actor=self.actor, name=name)
        return list_response([table_run_json(run) for run in table_run_list(endpoint=endpoint)])

    @operation(
        "table_run_create",
        "Send a whole dataset through the endpoint",
        request=TableRunRequest,
        answer=TableRun,
        status=201,
        idempotent=True,
        examples=[example("The test data", {"dataset": "iris-test"})],
    )
    def post(self, request: Request, project: str, name: str) -> Response:
        """Answers at once; a worker carries it out."""
        asked = self.body(TableRunRequest)
        return self.create_once(lambda: self._created(name, asked))

    def _created(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        run = table_run_create(actor=self.actor, endpoint=name, **asked)
        return table_run_json(table_run_get(actor=self.actor, endpoint=name, uid=run.uid))


class TableRunView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation("table_run_get", "One table run, with its summary", answer=TableRun)
    def get(self, request: Request, project: str, name: str, uid: str) -> Response:
        return Response(table_run_json(table_run_get(actor=self.actor, endpoint=name, uid=uid)))


class TableRunRowsView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation(
        "table_run_rows", "Prediction beside label, row by row", answer=listed(TableRow), query=TableRowQuery
    )
    def get(self, request: Request, project: str, name: str, uid: str) -> Response:
        """`count` is the number of rows in this answer; ask again with `offset` for those that follow."""
        asked = self.query(TableRowQuery)
        asked["only_wrong"] = asked["only_wrong"] == "true"
        run = table_run_get(actor=self.actor, endpoint=name, uid=uid)
        return list_response(table_run_rows(run=run, **asked))
