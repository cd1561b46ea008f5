"""The table page: a whole dataset through an endpoint, prediction beside label, row by row."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from endpoints.models import TableRun
from endpoints.selectors.endpoints import endpoint_get
from endpoints.selectors.tables import table_run_get, table_run_rows
from endpoints.services.tables import table_run_create
from jobs.selectors.datasets import dataset_list
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TableRunStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.charts.confusion import confusion_rows
from mlplatform.web.dataset_fit import datasets_with_reasons
from mlplatform.web.forms.training_jobs import errors_by_field
from mlplatform.web.rendering import fragment_target

ROWS_PER_PAGE = 100
FEATURES_SHOWN = 20


@require_http_methods(["GET", "POST"])
def table_run_new(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, name)
    try:
        run = table_run_create(
            actor=actor,
            endpoint=name,
            dataset=request.POST.get("dataset", ""),
            variant=request.POST.get("variant") or None,
        )
    except PlatformError as error:
        return _form_page(request, actor, name, error)
    return redirect("web:endpoint-table-run", project=project, name=name, uid=run.uid)


@require_GET
def table_run_detail(request: HttpRequest, project: str, name: str, uid: str) -> HttpResponse:
    actor = page_actor(request, project)
    run = table_run_get(actor=actor, endpoint=name, uid=uid)
    offset = int(request.GET["offset"]) if request.GET.get("offset", "").isdecimal() else 0
    only_wrong = request.GET.get("wrong") == "1"
    summary = run.summary or {}
    done = run.status == TableRunStatus.COMPLETED
    rows = table_run_rows(run=run, offset=offset, limit=ROWS_PER_PAGE, only_wrong=only_wrong) if done else []
    context = {
        "run": run,
        "endpoint": run.endpoint,
        "summary": summary,
        "feature_names": _feature_names(run)[:FEATURES_SHOWN],
        "rows": rows,
        "only_wrong": only_wrong,
        "offset": offset,
        "previous": max(0, offset - ROWS_PER_PAGE) if offset else None,
        "following": offset + ROWS_PER_PAGE if len(rows) == ROWS_PER_PAGE else None,
        "confusion": confusion_rows(summary) if done and "confusion" in summary else None,
    }
    if fragment_target(request) == "table-run":
        response = render(request, "endpoints/_table_progress.html", context)
        if run.status != TableRunStatus.IN_PROGRESS:
            response["HX-Refresh"] = "true"
        return response
    return render(request, "endpoints/table.html", context)


@require_GET
def table_run_download(request: HttpRequest, project: str, name: str, uid: str) -> DownloadResponse:
    run = table_run_get(actor=page_actor(request, project), endpoint=name, uid=uid)
    return DownloadResponse(
        object_store().chunks(run.result_uri),
        filename=f"{name}-{run.dataset_version.dataset.name}.jsonl",
        content_type="application/jsonlines; charset=utf-8",
    )


def _feature_names(run: TableRun) -> list[str]:
    schema = run.dataset_version.schema
    return [name for position, name in enumerate(schema["columns"]) if position != schema.get("label")]


def _form_page(
    request: HttpRequest, actor: Actor, name: str, error: PlatformError | None = None
) -> HttpResponse:
    endpoint = endpoint_get(actor=actor, name=name)
    variants = list((endpoint.live or endpoint.wanted).variants.select_related("model"))
    error = error and translated_error(error)
    context = {
        "endpoint": endpoint,
        "datasets": datasets_with_reasons(
            dataset_list(actor=actor, limit=100).items, [variant.model for variant in variants]
        ),
        "runs": list(endpoint.table_runs.select_related("dataset_version__dataset")[:20]),
        "variants": variants,
        "chosen": request.POST.get("dataset") or request.GET.get("dataset", ""),
        "error": error,
        "errors": errors_by_field(error.errors) if error else {},
    }
    return render(request, "endpoints/table_new.html", context, status=error.http_status if error else 200)
