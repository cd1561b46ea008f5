"""Pages of comparisons: runs side by side, their curves as data, and the table as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from endpoints.selectors.comparison import comparison_runs, runs_selected
from jobs.comparison.runs import N_MIN
from jobs.comparison.selection import RunsNotFound
from jobs.comparison.table import comparison_table
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.result_table import ResultTable
from mlplatform.web.access import page_actor
from mlplatform.web.comparison_page import (
    choosing_context,
    comparison_context,
    curves_data,
    curves_part,
    missing_context,
    scatter_part,
)
from mlplatform.web.comparison_query import ComparisonQuery
from mlplatform.web.rendering import fragment_target, redirect_response

_PARTS = {
    "comparison-curves": (curves_part, "comparison/_curves.html"),
    "comparison-scatter": (scatter_part, "comparison/_scatter.html"),
}
"""Parts of the page that are drawn anew alone, by the element that asks."""


@require_GET
def comparison(request: HttpRequest, project: str) -> HttpResponse:
    """The whole page, or the part that a script asks for. Its address is always the canonical one."""
    actor = page_actor(request, project)
    asked = ComparisonQuery.of(request.GET)
    target = fragment_target(request)
    address = asked.url(request.path)
    if not target and asked.pressed:
        return redirect(address)
    try:
        runs = runs_selected(actor=actor, kind=asked.kind, selection=asked.selection)
    except RunsNotFound as error:
        if target:  # a run is gone since the page was drawn
            return redirect_response(request, address)
        context = missing_context(request, asked, error)
        return render(request, "comparison/missing.html", context, status=error.http_status)
    if target == "comparison-candidates":
        return render(request, "comparison/_candidates.html", choosing_context(request, actor, asked, runs))
    enough = len(runs) >= N_MIN
    if target in _PARTS:
        part, template = _PARTS[target]
        if not enough:
            return redirect_response(request, address)
        return _pushed(render(request, template, part(request, actor, asked, runs)), address)
    context = (comparison_context if enough else choosing_context)(request, actor, asked, runs)
    if target == "comparison":
        return _pushed(render(request, "comparison/_page.html", context), address)
    return render(request, "comparison/page.html", context)


@require_GET
def comparison_curves(request: HttpRequest, project: str) -> JsonResponse:
    """The figure of one metric; `final` once nothing more will come."""
    actor = page_actor(request, project)
    asked = ComparisonQuery.of(request.GET)
    runs = comparison_runs(actor=actor, kind=asked.kind, selection=asked.selection)
    return JsonResponse(curves_data(actor, asked, runs))


@require_GET
def comparison_download(request: HttpRequest, project: str) -> DownloadResponse:
    """Every run with every parameter and metric, as CSV for spreadsheets or as JSON."""
    actor = page_actor(request, project)
    asked = ComparisonQuery.of(request.GET)
    runs = comparison_runs(actor=actor, kind=asked.kind, selection=asked.selection)
    table, stem = comparison_table(runs), f"comparison-of-{len(runs)}-{asked.kind.value}"
    if request.GET.get("as") == "json":
        return DownloadResponse(_json(table), filename=f"{stem}.json", content_type="application/json")
    return DownloadResponse(table.to_csv(), filename=f"{stem}.csv", content_type="text/csv; charset=utf-8")


def _pushed(response: HttpResponse, address: str) -> HttpResponse:
    response["HX-Push-Url"] = address
    return response


def _json(table: ResultTable) -> Iterator[bytes]:
    yield json.dumps(table.to_json(), ensure_ascii=False, indent=1).encode()
