"""Pages of endpoints: list, one endpoint with traffic, try-it panel, replicas and their logs, delete."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from endpoints.models import Endpoint, Replica
from endpoints.selectors.costs import endpoint_cost
from endpoints.selectors.endpoints import (
    endpoint_get,
    endpoint_list,
    endpoint_sample_row,
    endpoint_snippets,
    endpoint_traffic,
    endpoint_waiting_reason,
    replica_list,
)
from endpoints.selectors.evaluations import evaluation_list
from endpoints.selectors.models import model_labels
from endpoints.selectors.replica_logs import ReplicaLog, replica_log_get, replica_logs
from endpoints.selectors.replica_runs import (
    cold_start_ms,
    elastic_states,
    replica_run_list,
    replica_runs_since,
    start_ms,
)
from endpoints.selectors.samples import endpoint_sample_is_real
from endpoints.services.async_config import is_async
from endpoints.services.endpoints import InvokeResult, endpoint_delete, endpoint_invoke
from endpoints.services.neighbours import knn_variants
from jobs.algorithms.registry import SCRIPT
from jobs.selectors.datasets import dataset_list
from mlplatform.core import clock
from mlplatform.core.errors import NotFound, PlatformError
from mlplatform.core.models import LogStream, Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus, ReplicaStatus
from mlplatform.core.translation import translated
from mlplatform.web.access import page_actor
from mlplatform.web.answers import Answer, answer_of
from mlplatform.web.charts.endpoints import latency_figure, requests_figure
from mlplatform.web.charts.replica_runs import replica_runs_figure
from mlplatform.web.failures import plain_line
from mlplatform.web.rendering import fragment_target, redirect_response
from mlplatform.web.replica_ends import replica_end_words
from mlplatform.web.views.confirm import confirm_page, confirmed
from mlplatform.web.views.training_job_logs import log_answer, log_download_answer, log_stream_answer

TABS = ("overview", "try", "logs", "api")
SETTLED = (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED)
REQUEST_TYPES = ("text/csv", "application/json", "application/jsonlines")
ACCEPT_TYPES = ("application/json", "application/json; verbose=true", "application/jsonlines")
SCRIPT_REQUEST_TYPES = (*REQUEST_TYPES, "text/libsvm", "text/plain")
SCRIPT_ACCEPT_TYPES = ("application/json", "text/csv", "application/jsonlines", "*/*")
"""Of an endpoint whose model a script serves: whatever that takes and writes."""
MINUTES_MAX = 24 * 60
RUNS_SHOWN = 20


@require_GET
def endpoint_list_view(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = endpoint_list(
        actor=actor,
        search=request.GET.get("search", ""),
        status=request.GET.get("status", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {
        "page": page,
        "any_active": any(endpoint.status not in SETTLED for endpoint in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status")),
    }
    fragment = fragment_target(request) == "endpoints"
    return render(request, "endpoints/_list.html" if fragment else "endpoints/list.html", context)


@require_GET
def endpoint_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    polled = fragment_target(request) == "endpoint-state"
    try:
        endpoint = endpoint_get(actor=actor, name=name)
    except NotFound:
        if not polled:
            raise
        return redirect_response(request, reverse("web:endpoint-list", kwargs={"project": project}))
    tab = request.GET.get("tab", "overview")
    if tab == "try" and is_async(endpoint):
        return redirect("web:endpoint-async", project=project, name=name)
    context = _detail_context(request, actor, endpoint, tab if tab in TABS else "overview")
    return render(request, "endpoints/_poll.html" if polled else "endpoints/detail.html", context)


@require_GET
def endpoint_traffic_view(request: HttpRequest, project: str, name: str) -> JsonResponse:
    """The figure of requests or latencies per minute."""
    endpoint = endpoint_get(actor=page_actor(request, project), name=name)
    traffic = endpoint_traffic(endpoint=endpoint, minutes=_minutes(request))
    figure = latency_figure(traffic) if request.GET.get("chart") == "latency" else requests_figure(traffic)
    return JsonResponse(figure)


@require_GET
def endpoint_lives_view(request: HttpRequest, project: str, name: str) -> JsonResponse:
    """The figure of the lives of its model servers in the last hour, or in so many minutes."""
    endpoint = endpoint_get(actor=page_actor(request, project), name=name)
    minutes = _minutes(request)
    now = clock.now()
    runs = replica_runs_since(endpoint=endpoint, minutes=minutes)
    return JsonResponse(replica_runs_figure(runs, since=now - timedelta(minutes=minutes), now=now))


def _minutes(request: HttpRequest) -> int:
    minutes = request.GET.get("minutes", "60")
    return min(max(int(minutes), 1), MINUTES_MAX) if minutes.isdecimal() else 60


@require_POST
def endpoint_invoke_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    """The try-it panel: one invocation through the gateway, shown as it came back."""
    actor = page_actor(request, project)
    content_type = _one_of(request.POST.get("content_type", ""), SCRIPT_REQUEST_TYPES)
    accept = _one_of(request.POST.get("accept", ""), (*ACCEPT_TYPES, *SCRIPT_ACCEPT_TYPES))
    try:
        result = endpoint_invoke(
            actor=actor,
            name=name,
            body=request.POST.get("body", "").replace("\r\n", "\n").strip("\n").encode(),
            content_type=content_type,
            accept=accept,
            variant=request.POST.get("variant") or None,
        )
    except PlatformError as error:
        answer = Answer(text="", message=translated(error.message))
        return render(request, "endpoints/_answer.html", {"status": error.http_status, "answer": answer})
    return render(request, "endpoints/_answer.html", _shown(endpoint_get(actor=actor, name=name), result))


@require_http_methods(["GET", "POST"])
def endpoint_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    endpoint = endpoint_get(actor=actor, name=name)
    if request.method == "GET" or not confirmed(request, endpoint.name):
        return confirm_page(
            request,
            title=_("Delete endpoint %(name)s?") % {"name": endpoint.name},
            text=_(
                "Its address stops answering at once; its models, evaluations and captured requests stay. "
                "Deleted with it:"
            ),
            goes=[
                _("its model servers and their logs"),
                _("its traffic figures"),
                _("the results of its predicted datasets"),
            ],
            back=reverse("web:endpoint-detail", kwargs={"project": project, "name": name}),
            typed=endpoint.name,
        )
    endpoint_delete(actor=actor, name=name)
    messages.success(request, _("Endpoint %(name)s is being deleted.") % {"name": name})
    return redirect("web:endpoint-list", project=project)


@require_GET
def replica_log(request: HttpRequest, project: str, name: str, uid: str) -> JsonResponse:
    return log_answer(request, _replica_stream(request, project, name, uid))


@require_GET
def replica_log_download(request: HttpRequest, project: str, name: str, uid: str) -> StreamingHttpResponse:
    return log_download_answer(_replica_stream(request, project, name, uid), f"{name}-{uid}.log")


@require_GET
async def replica_log_stream(request: HttpRequest, project: str, name: str, uid: str) -> HttpResponseBase:
    try:
        stream = await sync_to_async(_replica_stream)(request, project, name, uid)
    except PlatformError as error:
        return HttpResponse(
            translated(error.message), status=error.http_status, content_type="text/plain; charset=utf-8"
        )
    return await log_stream_answer(request, project, stream)


def _replica_stream(request: HttpRequest, project: str, name: str, uid: str) -> LogStream:
    endpoint = endpoint_get(actor=page_actor(request, project), name=name)
    return replica_log_get(endpoint=endpoint, uid=uid).log


def _detail_context(request: HttpRequest, actor: Actor, endpoint: Endpoint, tab: str) -> dict[str, Any]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    variants = list((endpoint.live or endpoint.wanted).variants.select_related("model"))
    is_script = any(variant.model.algorithm == SCRIPT for variant in variants)
    total = sum(variant.weight for variant in variants) or 1.0
    replicas = replica_list(endpoint=endpoint)
    logs = replica_logs(endpoint=endpoint, replicas=replicas) if tab == "logs" else []
    seen = _seen(endpoint, replicas)
    evaluations = evaluation_list(actor=actor, endpoint=endpoint.name, limit=5) if tab == "overview" else None
    return {
        "endpoint": endpoint,
        "tab": tab,
        "tabs": TABS,
        "inspectable": bool(knn_variants(endpoint=endpoint)),
        "asynchronous": is_async(endpoint),
        "variants": [
            (variant, variant.weight / total, [one for one in replicas if one.variant_id == variant.pk])
            for variant in variants
        ],
        "lone_serverless": len(variants) == 1 and variants[0].serverless_memory_mb is not None,
        "rolling": endpoint.live_id is not None and endpoint.live_id != endpoint.wanted_id,
        "seen": seen,
        "changed": seen != request.GET.get("seen"),
        "n_replicas": len(replicas),
        "n_ready": sum(one.status == ReplicaStatus.IN_SERVICE for one in replicas),
        "failure_lines": [plain_line(line) for line in (endpoint.failure or {}).get("log_tail") or []],
        "logs": logs,
        "chosen": _chosen(logs, len(replicas), request.GET.get("replica", "")),
        "traffic": endpoint_traffic(endpoint=endpoint, minutes=60),
        "cost": endpoint_cost(endpoint) if tab == "overview" else None,
        "sample_row": endpoint_sample_row(endpoint=endpoint) if tab == "try" else "",
        "sample_is_real": tab == "try" and endpoint_sample_is_real(endpoint=endpoint),
        "feature_names": (variants[0].model.manifest.get("feature_names") or []) if variants else [],
        "snippets": endpoint_snippets(endpoint=endpoint, base_url=base_url),
        "url": f"{base_url}/api/v1/projects/{actor.project.name}/endpoints/{endpoint.name}/invocations",
        "request_types": SCRIPT_REQUEST_TYPES if is_script else REQUEST_TYPES,
        "accept_types": SCRIPT_ACCEPT_TYPES if is_script else ACCEPT_TYPES,
        "is_script": is_script,
        "datasets": dataset_list(actor=actor, limit=100).items if tab == "try" else [],
        "evaluations": evaluations.items if evaluations else [],
        "n_evaluations": evaluations.count if evaluations else 0,
        "table_runs": list(endpoint.table_runs.select_related("dataset_version__dataset")[:10]),
        **_lives(endpoint, replicas),
        "settled": endpoint.status in SETTLED,
        "waiting_reason": endpoint_waiting_reason(endpoint=endpoint),
    }


def _lives(endpoint: Endpoint, replicas: list[Replica]) -> dict[str, Any]:
    """What elastic variants do now, and the newest lives of model servers with their times."""
    page = replica_run_list(endpoint=endpoint, limit=RUNS_SHOWN)
    elastic = elastic_states(endpoint=endpoint, replicas=replicas)
    in_service = endpoint.status == EndpointStatus.IN_SERVICE
    return {
        "elastic": elastic,
        "asleep": bool(elastic) and not replicas and in_service and all(state.asleep for state in elastic),
        "runs": [
            (run, start_ms(run), cold_start_ms(run), replica_end_words(run.end_reason)) for run in page.items
        ],
        "n_runs": page.count,
    }


def _seen(endpoint: Endpoint, replicas: list[Replica]) -> str:
    """A mark of what the page shows beside the traffic; another one means that it has to be drawn anew."""
    parts = [(one.uid, one.status, one.restarts) for one in replicas]
    text = repr((endpoint.status, endpoint.wanted_id, endpoint.live_id, endpoint.failure_reason, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _chosen(logs: list[ReplicaLog], n_present: int, uid: str) -> ReplicaLog | None:
    """The one that is asked for; else of the last replica, and where there is none of the newest that is gone."""
    newest = logs[max(0, n_present - 1)] if logs else None
    return next((one for one in logs if one.uid == uid), newest)


def _shown(endpoint: Endpoint, result: InvokeResult) -> dict[str, Any]:
    name = result.headers.get("x-amzn-invoked-production-variant", "")
    variants = list((endpoint.live or endpoint.wanted).variants.select_related("model"))
    model = next((one.model for one in variants if one.name == name), variants[0].model if variants else None)
    answer = answer_of(
        status=result.status,
        body=result.body,
        labels=model_labels(model=model) if model else None,
        feature_names=(model.manifest.get("feature_names") or ()) if model else (),
    )
    return {"status": result.status, "variant": name, "duration_ms": result.duration_ms, "answer": answer}


def _one_of(value: str, accepted: tuple[str, ...]) -> str:
    return value if value in accepted else accepted[0]
