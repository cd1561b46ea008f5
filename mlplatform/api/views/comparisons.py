"""Comparisons: training jobs or evaluations side by side."""

from __future__ import annotations

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.comparison import (
    RunKind,
    comparison_curve_metrics,
    comparison_curves,
    comparison_runs,
)
from jobs.comparison.selection import Selection
from jobs.comparison.table import comparison_table
from mlplatform.api.auth import Rule
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.api.presenters.comparisons import comparison_json
from mlplatform.api.result_tables import CSV, table_response
from mlplatform.api.schema import operation
from mlplatform.api.serializers.comparisons import Comparison, ComparisonQuery, names_of


class ComparisonView(ApiView):
    tag = "comparisons"
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "comparison_get",
        "Compare 2 to 500 training jobs or evaluations",
        answer=Comparison,
        query=ComparisonQuery,
        files=[CSV],
    )
    def get(self, request: Request, project: str) -> HttpResponseBase:
        """`name` once for each run, or `names` with commas; or all that match `search`, `status`, `algorithm`,
        `endpoint`. As a file: a row per run, with every parameter and metric.
        """
        asked = self.query(ComparisonQuery)
        kind = RunKind(asked["kind"])
        selection = Selection(
            names=names_of(asked),
            everything=asked["all"] == "1",
            **{name: asked[name] for name in ("search", "status", "algorithm", "endpoint")},
        )
        runs = comparison_runs(actor=self.actor, kind=kind, selection=selection)
        if asked["as"] == "csv":
            return table_response(
                comparison_table(runs), form="csv", stem=f"comparison-of-{len(runs)}-{kind}"
            )
        names, metric = [run.name for run in runs], asked["metric"]
        curves = comparison_curves(actor=self.actor, kind=kind, names=names, metric=metric) if metric else []
        curve_metrics = comparison_curve_metrics(actor=self.actor, kind=kind, names=names)
        return Response(
            comparison_json(kind, runs, curve_metrics=curve_metrics, metric=metric, curves=curves)
        )
