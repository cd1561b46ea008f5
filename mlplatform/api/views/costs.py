"""The price sheet, and what a project has spent."""

from __future__ import annotations

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from endpoints.selectors.cost_table import cost_period, cost_table
from endpoints.selectors.costs import SPENT_MAX
from endpoints.selectors.project_costs import project_costs
from jobs.selectors.prices import price_sheet
from jobs.selectors.together import jobs_together
from jobs.services.prices import price_sheet_update
from mlplatform.api.auth import Rule, signed_in
from mlplatform.api.base import AnyAccept, ApiView
from mlplatform.api.presenters.costs import costs_json, price_sheet_json, together_json
from mlplatform.api.result_tables import CSV, table_response
from mlplatform.api.schema import operation
from mlplatform.api.serializers.costs import (
    Costs,
    CostsQuery,
    PriceSheet,
    PriceSheetRequest,
    Together,
    TogetherQuery,
)


class PriceSheetView(ApiView):
    tag = "costs"
    access = {"GET": Rule.SIGNED_IN, "PUT": Rule.OPERATOR}

    @operation("price_sheet_get", "What an hour of each instance type costs", answer=PriceSheet)
    def get(self, request: Request) -> Response:
        """The prices that hold now. What has ended keeps the price of its end."""
        return Response(price_sheet_json(price_sheet()))

    @operation("price_sheet_update", "Change the price sheet", request=PriceSheetRequest, answer=PriceSheet)
    def put(self, request: Request) -> Response:
        """A new edition, which holds from now on. For operators: staff, by session or with a key of theirs."""
        return Response(
            price_sheet_json(price_sheet_update(user=signed_in(request), **self.body(PriceSheetRequest)))
        )


class CostsView(ApiView):
    tag = "costs"
    access = {"GET": Rule.VIEWER}
    content_negotiation_class = AnyAccept

    @operation(
        "costs_get",
        "What the project has spent, by day and by what it was spent on",
        answer=Costs,
        query=CostsQuery,
        files=[CSV],
    )
    def get(self, request: Request, project: str) -> HttpResponseBase:
        """A job counts when it ended; an endpoint for the part of its replicas' lives in the time asked for. Sums are
        of everything; `spent` lists the dearest thousand, the CSV file all.
        """
        asked = self.query(CostsQuery)
        since, until = cost_period(since=asked.get("since"), until=asked.get("until"))
        most = None if asked["as"] == "csv" else SPENT_MAX
        costs = project_costs(actor=self.actor, since=since, until=until, most=most)
        if asked["as"] == "csv":
            return table_response(cost_table(costs), form="csv", stem=f"costs-{since:%Y%m%d}-{project}")
        return Response(costs_json(costs))


class TogetherView(ApiView):
    tag = "costs"
    access = {"GET": Rule.VIEWER}

    @operation(
        "costs_together",
        "One job that does the work of several, beside the several",
        answer=Together,
        query=TogetherQuery,
    )
    def get(self, request: Request, project: str) -> Response:
        """Time, bytes read and price of the one job and of the separate ones, with the ratio to their sum."""
        asked = self.query(TogetherQuery)
        return Response(together_json(jobs_together(actor=self.actor, **asked)))
