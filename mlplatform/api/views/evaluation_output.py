"""What an evaluation found: its rows, and its tables as JSON or files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.models import Evaluation
from endpoints.selectors.evaluation_tables import (
    classes_table,
    confusion_table,
    latency_measures,
    quality_table,
)
from endpoints.selectors.evaluations import evaluation_get, evaluation_rows
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.api.result_tables import CSV, table_response
from mlplatform.api.schema import operation
from mlplatform.api.serializers.evaluations import EvaluationRow, EvaluationRowQuery, EvaluationTableQuery
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.result_tables import ResultTable as TableAnswer
from mlplatform.core.errors import NotFound
from mlplatform.core.result_table import ResultTable
from mlplatform.core.text import text as _

TAG = "evaluations"
TABLES: Final[dict[str, Callable[[Evaluation, int | None], ResultTable]]] = {
    "accuracy": lambda evaluation, k: quality_table(evaluation),
    "latency": lambda evaluation, k: latency_measures(evaluation),
    "classes": lambda evaluation, k: classes_table(evaluation, k=k),
    "confusion": lambda evaluation, k: confusion_table(evaluation, k=k),
}


class EvaluationRowsView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}

    @operation(
        "evaluation_rows",
        "Prediction beside label, row by row",
        answer=listed(EvaluationRow),
        query=EvaluationRowQuery,
    )
    def get(self, request: Request, project: str, name: str) -> Response:
        """`count` is the number of all rows that match; ask again with `offset` for those that follow."""
        asked = self.query(EvaluationRowQuery)
        evaluation = evaluation_get(actor=self.actor, name=name)
        found = evaluation_rows(evaluation=evaluation, only_wrong=asked.pop("wrong"), **asked)
        return Response({"items": found.rows, "next": None, "count": found.n_found})


class EvaluationTableView(ApiView):
    tag = TAG
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "evaluation_table",
        "One of the tables of a result",
        answer=TableAnswer,
        query=EvaluationTableQuery,
        files=[CSV],
    )
    def get(self, request: Request, project: str, name: str, table: str) -> HttpResponseBase:
        """`accuracy` (every metric by k), `latency`, `classes` or `confusion`; without rows before it is Completed."""
        asked = self.query(EvaluationTableQuery)
        evaluation = evaluation_get(actor=self.actor, name=name)
        if table not in TABLES:
            raise NotFound(
                _(
                    "There is no table {name}; there are {tables}",
                    name=repr(table[:40]),
                    tables=", ".join(TABLES),
                )
            )
        found = TABLES[table](evaluation, asked.get("k"))
        return table_response(found, form=asked["as"], stem=f"{evaluation.name}-{table}")
