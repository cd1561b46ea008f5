"""Pages of evaluations: list, one of them, its tables as files."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from endpoints.models import Evaluation
from endpoints.selectors.evaluation_tables import (
    classes_table,
    confusion_table,
    latency_measures,
    quality_table,
)
from endpoints.selectors.evaluations import evaluation_get, evaluation_list, evaluation_rows_every
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.result_table import ResultTable
from mlplatform.core.text import text as _
from mlplatform.web.access import page_actor
from mlplatform.web.evaluation_page import detail_context
from mlplatform.web.evaluation_quality import asked_k, own_k
from mlplatform.web.rendering import fragment_target
from mlplatform.web.row_files import FORMS, rows_file
from mlplatform.web.shortlist import search_text

TABLES = ("accuracy", "latency", "classes", "confusion")


@require_GET
def evaluation_list_page(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = evaluation_list(
        actor=actor,
        search=search_text(request.GET),
        status=request.GET.get("status", ""),
        endpoint=request.GET.get("endpoint", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {
        "page": page,
        "any_active": any(not one.ended for one in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status", "endpoint")),
    }
    fragment = fragment_target(request) == "evaluations"
    return render(request, "evaluations/_list.html" if fragment else "evaluations/list.html", context)


@require_GET
def evaluation_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    evaluation = evaluation_get(actor=actor, name=name)
    context = detail_context(request, actor, evaluation)
    if fragment_target(request) == "evaluation-state":
        response = render(request, "evaluations/_poll.html", context)
        if evaluation.ended:
            response["HX-Refresh"] = "true"
        return response
    return render(request, "evaluations/detail.html", context)


@require_GET
def evaluation_download(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    """One of the tables, as CSV for spreadsheets or as JSON."""
    evaluation = evaluation_get(actor=page_actor(request, project), name=name)
    if request.GET.get("table") == "rows":
        return _rows_download(request, evaluation)
    table_name, form = request.GET.get("table", "accuracy"), request.GET.get("as", "csv")
    if table_name not in TABLES or form not in ("csv", "json"):
        raise InvalidRequest.for_field(
            "table", _("use {tables} as csv or json", tables=", ".join((*TABLES, "rows")))
        )
    k = asked_k(request)
    table = {
        "accuracy": lambda: quality_table(evaluation),
        "latency": lambda: latency_measures(evaluation),
        "classes": lambda: classes_table(evaluation, k=k),
        "confusion": lambda: confusion_table(evaluation, k=k),
    }[table_name]()
    if not table:
        raise NotFound(_("This evaluation has no such table"))
    stem = f"{evaluation.name}-{table_name}"
    if form == "csv":
        return DownloadResponse(
            table.to_csv(), filename=f"{stem}.csv", content_type="text/csv; charset=utf-8"
        )
    return DownloadResponse(_json(table), filename=f"{stem}.json", content_type="application/json")


def _rows_download(request: HttpRequest, evaluation: Evaluation) -> DownloadResponse:
    """All rows that the tab's filters leave. Raises InvalidRequest for a k or a label that there is not."""
    form = request.GET.get("as", "csv")
    if form not in FORMS:
        raise InvalidRequest.for_field("as", _("use csv or json"))
    k = asked_k(request) if request.GET.get("k") else own_k(evaluation)
    rows = evaluation_rows_every(
        evaluation=evaluation,
        k=k,
        label=request.GET.get("label"),
        prediction=request.GET.get("prediction"),
        only_wrong=request.GET.get("wrong") == "1",
    )
    stem = f"{evaluation.name}-rows" if k is None else f"{evaluation.name}-rows-k{k}"
    is_regression = (evaluation.result or {}).get("kind") == "regression"
    return rows_file(rows, stem=stem, form=form, is_regression=is_regression)


def _json(table: ResultTable) -> Iterator[bytes]:
    yield json.dumps(table.to_json(), ensure_ascii=False, indent=1).encode()
