"""Pages of transform jobs: list, one of them, its result as a file, its log."""

from __future__ import annotations

import hashlib
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from endpoints.models import TransformJob
from endpoints.selectors.costs import transform_job_cost
from endpoints.selectors.transforms import (
    transform_job_get,
    transform_job_list,
    transform_job_waiting_reason,
    transform_result_chunks,
    transform_result_get,
    transform_result_preview,
    transform_results,
)
from endpoints.services.transforms import transform_job_clone_request
from jobs.runner.said import said_read
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import PlatformError
from mlplatform.core.models import LogStream
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated
from mlplatform.web.access import page_actor
from mlplatform.web.failures import failure_cause
from mlplatform.web.forms.transforms import TransformForm
from mlplatform.web.rendering import fragment_target
from mlplatform.web.shortlist import search_text
from mlplatform.web.views.training_job_logs import log_answer, log_download_answer, log_stream_answer

TABS = ("overview", "result", "logs", "api")
OBJECTS_SHOWN = 100


@require_GET
def transform_jobs(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = transform_job_list(
        actor=actor,
        search=search_text(request.GET),
        status=request.GET.get("status", ""),
        model=request.GET.get("model", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {
        "page": page,
        "any_active": any(not one.ended for one in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status", "model")),
    }
    fragment = fragment_target(request) == "transform-jobs"
    return render(request, "transforms/_list.html" if fragment else "transforms/list.html", context)


@require_GET
def transform_job(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    job = transform_job_get(actor=actor, name=name)
    context = _context(request, actor, job)
    if fragment_target(request) == "transform-state":
        response = render(request, "transforms/_poll.html", context)
        if job.ended:
            response["HX-Refresh"] = "true"
        return response
    return render(request, "transforms/detail.html", context)


@require_GET
def transform_job_result(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    job = transform_job_get(actor=page_actor(request, project), name=name)
    result = transform_result_get(job=job, name=request.GET.get("name", ""))
    filename = result.name.rpartition("/")[2]
    return DownloadResponse(
        transform_result_chunks(result=result), filename=filename, content_type="application/octet-stream"
    )


@require_GET
def transform_job_log(request: HttpRequest, project: str, name: str) -> HttpResponse:
    return log_answer(request, _log(request, project, name))


@require_GET
async def transform_job_log_stream(request: HttpRequest, project: str, name: str) -> HttpResponseBase:
    try:
        stream = await sync_to_async(_log)(request, project, name)
    except PlatformError as error:
        return HttpResponse(
            translated(error.message), status=error.http_status, content_type="text/plain; charset=utf-8"
        )
    return await log_stream_answer(request, project, stream)


@require_GET
def transform_job_log_download(request: HttpRequest, project: str, name: str) -> StreamingHttpResponse:
    job = transform_job_get(actor=page_actor(request, project), name=name)
    return log_download_answer(job.log, f"{job.name}.log")


def _log(request: HttpRequest, project: str, name: str) -> LogStream:
    return transform_job_get(actor=page_actor(request, project), name=name).log


def _context(request: HttpRequest, actor: Actor, job: TransformJob) -> dict[str, Any]:
    tab = request.GET.get("tab", "overview")
    tab = tab if tab in TABS else "overview"
    seen = hashlib.sha256(repr((job.status, job.attempt)).encode()).hexdigest()[:12]
    failure = job.failure or {}
    context = {
        "job": job,
        "tab": tab,
        "seen": seen,
        "changed": seen != request.GET.get("seen"),
        "progress": job.progress or {},
        "waiting_reason": translated(transform_job_waiting_reason(job=job) or ""),
        "failure": failure,
        "failure_reason": translated(
            said_read(failure.get("said"), message=str(failure.get("reason") or ""))
        ),
        "cause": failure_cause(str(failure.get("kind"))) if failure else None,
        "cost": transform_job_cost(job),
        "is_one": bool(job.result_uri) and not job.result_uri.endswith("/"),
    }
    if tab == "result" and job.result_uri:
        chosen = request.GET.get("name", "")
        results = transform_results(job=job)
        context |= {
            "results": results[:OBJECTS_SHOWN],
            "n_results": len(results),
            "chosen": chosen or (results[0].name if results else ""),
            "preview": transform_result_preview(job=job, name=chosen) if results else None,
        }
    if tab == "api":
        context["calls"] = _calls(request, actor, job)
    return context


def _calls(request: HttpRequest, actor: Actor, job: TransformJob) -> list[tuple[str, str]]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    address = f"{base_url}/api/v1/projects/{actor.project.name}/transform-jobs/{job.name}/"
    form = TransformForm.from_request(transform_job_clone_request(actor=actor, name=job.name))

    def get(path: str, more: str = "") -> str:
        return f"curl '{address}{path}' \\\n  -H \"Authorization: Bearer $TOKEN\"{more}"

    return [
        (_("Its state"), get("")),
        (_("Its result as a file"), get("result/", " \\\n  -o result.out")),
        (_("Transform the same again"), form.api_call(base_url=base_url, project=actor.project.name)),
    ]
