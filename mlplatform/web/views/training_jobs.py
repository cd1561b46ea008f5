"""Pages of training jobs: list, new, one job with its tabs, stop and delete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.algorithms.registry import algorithm_get, algorithm_list
from jobs.instance_types import instance_type_list
from jobs.metric_regex import metric_definition_check, metric_matches
from jobs.models import JobEvent, TrainingJob
from jobs.selectors.datasets import dataset_list, dataset_version_get
from jobs.selectors.instances import instance_type_usage
from jobs.selectors.training import (
    training_job_artifact,
    training_job_events,
    training_job_get,
    training_job_metrics,
    training_job_waiting_reason,
)
from jobs.selectors.training import (
    training_job_list as training_jobs_page,
)
from jobs.services.training import (
    training_job_clone_request,
    training_job_create,
    training_job_delete,
    training_job_stop,
)
from mlplatform.core import clock, names
from mlplatform.core.access import Actor
from mlplatform.core.errors import PlatformError
from mlplatform.core.models import Role
from mlplatform.core.nodes import queues_served
from mlplatform.web.access import page_actor
from mlplatform.web.charts.training_jobs import metric_figure, metric_groups
from mlplatform.web.failures import failure_cause
from mlplatform.web.forms.suggestions import hyperparameters_suggested
from mlplatform.web.forms.training_jobs import TrainingJobForm, errors_by_field
from mlplatform.web.views.confirm import confirm_page

TABS = ("overview", "metrics", "logs", "events", "api")


@require_GET
def training_job_list(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    page = training_jobs_page(
        actor=actor,
        search=request.GET.get("search", ""),
        status=request.GET.get("status", ""),
        algorithm=request.GET.get("algorithm", ""),
        order=request.GET.get("order") or "-created",
        cursor=request.GET.get("cursor"),
    )
    context = {
        "page": page,
        "algorithms": algorithm_list(),
        "any_active": any(not job.ended for job in page.items),
        "filtered": any(request.GET.get(name) for name in ("search", "status", "algorithm")),
    }
    fragment = getattr(request, "htmx", False) and request.htmx.target == "training-jobs"  # type: ignore[attr-defined]
    return render(request, "training_jobs/_list.html" if fragment else "training_jobs/list.html", context)


@require_http_methods(["GET", "POST"])
def training_job_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, _first_form(request, actor))
    form = TrainingJobForm.from_post(request.POST)
    if request.POST.get("intent") == "preview":
        call = form.api_call(base_url=request.build_absolute_uri("/").rstrip("/"), project=project)
        return render(request, "training_jobs/_api_call.html", {"api_call": call})
    if request.POST.get("intent") == "algorithm":
        return _form_page(request, actor, form)
    try:
        job = training_job_create(actor=actor, **form.service_arguments())
    except PlatformError as error:
        return _form_page(request, actor, form, error=error)
    return redirect("web:training-job-detail", project=project, name=job.name)


@require_GET
def training_job_detail(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    job = training_job_get(actor=actor, name=name)
    tab = request.GET.get("tab", "overview")
    context = _detail_context(request, actor, job, tab if tab in TABS else "overview")
    if getattr(request, "htmx", False) and request.htmx.target == "job-state":  # type: ignore[attr-defined]
        return _state_fragment(request, context)
    return render(request, "training_jobs/detail.html", context)


@require_POST
def training_job_stop_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    training_job_stop(actor=page_actor(request, project), name=name)
    messages.info(request, _("The job is asked to stop."))
    return redirect("web:training-job-detail", project=project, name=name)


@require_http_methods(["GET", "POST"])
def training_job_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        job = training_job_get(actor=actor, name=name)
        return confirm_page(
            request,
            title=_("Delete training job %(name)s?") % {"name": job.name},
            goes=[_("its log and metrics"), _("its artifact model.tar.gz")],
            back=reverse("web:training-job-detail", kwargs={"project": project, "name": name}),
        )
    training_job_delete(actor=actor, name=name)
    messages.success(request, _("Training job %(name)s is deleted.") % {"name": name})
    return redirect("web:training-job-list", project=project)


@require_GET
def training_job_metrics_view(request: HttpRequest, project: str, name: str) -> JsonResponse:
    """The figure of one group of metrics; `final` once nothing more will come."""
    job = training_job_get(actor=page_actor(request, project), name=name)
    groups = metric_groups(training_job_metrics(job=job))
    x = request.GET.get("x", "step")
    figure = metric_figure(
        groups.get(request.GET.get("group", ""), []),
        x=x if x in {"step", "time", "relative"} else "step",
        log_scale=request.GET.get("scale") == "log",
    )
    return JsonResponse(figure | {"final": job.ended})


@require_GET
def training_job_artifact_view(request: HttpRequest, project: str, name: str) -> StreamingHttpResponse:
    chunks, filename, size_bytes = training_job_artifact(actor=page_actor(request, project), name=name)
    response = StreamingHttpResponse(chunks, content_type="application/gzip")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Content-Length"] = str(size_bytes)
    return response


@require_POST
def metric_test(request: HttpRequest, project: str) -> HttpResponse:
    """The tester: what a metric definition finds in pasted text."""
    page_actor(request, project)
    definitions = TrainingJobForm.from_post(request.POST).metric_definitions
    context: dict[str, Any] = {}
    try:
        metric_definition_check(definitions)
        context["matches"] = metric_matches(definitions, request.POST.get("metric_text", "")[:200_000])
    except PlatformError as error:
        context["error"] = error.message
    return render(request, "training_jobs/_metric_test.html", context)


def _first_form(request: HttpRequest, actor: Actor) -> TrainingJobForm:
    source = request.GET.get("clone")
    if source:
        form = TrainingJobForm.from_request(training_job_clone_request(actor=actor, name=source))
        form.cloned_from = source
    else:
        form = TrainingJobForm(algorithm=request.GET.get("algorithm", "") or algorithm_list()[0].name)
        for channel in ("train", "test"):
            if request.GET.get(channel):
                form.channels[channel] = {"dataset": request.GET[channel]}
        if request.GET.get("train"):
            version = dataset_version_get(actor=actor, reference=request.GET["train"])
            form.hyperparameters = hyperparameters_suggested(algorithm_get(form.algorithm), version)
    stem = source or form.algorithm or "job"
    form.name = names.name_with_time(stem[:30], clock.now())
    return form


def _form_page(
    request: HttpRequest, actor: Actor, form: TrainingJobForm, error: PlatformError | None = None
) -> HttpResponse:
    if not form.algorithm:
        form.algorithm = algorithm_list()[0].name
    spec = algorithm_get(form.algorithm)
    usage = instance_type_usage(project=actor.project)
    served = queues_served()
    errors = errors_by_field(error.errors) if error else {}
    context = {
        "form": form,
        "spec": spec,
        "algorithms": algorithm_list(),
        "hyperparameters": [
            (
                declared.describe(),
                form.hyperparameters.get(declared.name),
                errors.get(f"hyperparameters.{declared.name}"),
            )
            for declared in spec.hyperparameters
            if not declared.hidden
        ],
        "channels": [
            (channel, form.channels.get(channel.name, {}), _channel_error(errors, channel.name))
            for channel in spec.channels
        ],
        "datasets": dataset_list(actor=actor, limit=100).items,
        "instance_types": [
            (instance, usage.get(instance.name, 0), instance.queue in served)
            for instance in instance_type_list()
        ],
        "metric_rows": [*form.metric_definitions, {"name": "", "regex": ""}],
        "errors": errors,
        "error": error,
        "unplaced": [one for one in (error.errors if error else ()) if _unplaced(one.field)],
        "api_call": form.api_call(
            base_url=request.build_absolute_uri("/").rstrip("/"), project=actor.project.name
        ),
    }
    return render(request, "training_jobs/new.html", context, status=error.http_status if error else 200)


def _channel_error(errors: dict[str, str], channel: str) -> str:
    prefix = f"channels.{channel}"
    return " ".join(
        message for name, message in errors.items() if name == prefix or name.startswith(f"{prefix}.")
    )


def _unplaced(field: str) -> bool:
    shown = (
        "name",
        "algorithm",
        "instance_type",
        "max_runtime_s",
        "environment",
        "tags",
        "metric_definitions",
    )
    return (
        not field.startswith(("hyperparameters.", "channels.", "metric_definitions")) and field not in shown
    )


def _detail_context(request: HttpRequest, actor: Actor, job: TrainingJob, tab: str) -> dict[str, Any]:
    series = training_job_metrics(job=job) if tab == "metrics" else []
    events = training_job_events(job=job)
    base_url = request.build_absolute_uri("/").rstrip("/")
    return {
        "job": job,
        "tab": tab,
        "tabs": TABS,
        "spec": algorithm_get(job.algorithm),
        "inputs": list(job.inputs.select_related("dataset_version__dataset")),
        "events": events,
        "stages": _stages(job, events),
        "cause": failure_cause(job.failure["kind"]) if job.failure else None,
        "waiting_reason": None if job.ended else training_job_waiting_reason(job=job),
        "series": series,
        "groups": metric_groups(series),
        "x": request.GET.get("x", "step"),
        "scale": request.GET.get("scale", "linear"),
        "models": list(job.models.all()[:20]),  # type: ignore[attr-defined]
        "axis_choices": [("step", _("Step")), ("relative", _("Seconds")), ("time", _("Time"))],
        "refresh_s": 0 if job.ended else 2,
    } | (_api_calls(actor, job, base_url) if tab == "api" else {})


def _api_calls(actor: Actor, job: TrainingJob, base_url: str) -> dict[str, str]:
    project = actor.project.name
    form = TrainingJobForm.from_request(training_job_clone_request(actor=actor, name=job.name))
    form.name = f"{job.name[:55]}-again"
    return {
        "describe_call": (
            f"curl {base_url}/api/v1/projects/{project}/training-jobs/{job.name}/ \\\n"
            '  -H "Authorization: Bearer $TOKEN"'
        ),
        "create_call": form.api_call(base_url=base_url, project=project),
    }


@dataclass(frozen=True)
class Stage:
    """A secondary status that was entered, and how long it lasted (None for the last of an ended job)."""

    status: str
    seconds: float | None


def _stages(job: TrainingJob, events: list[JobEvent]) -> list[Stage]:
    entered = [event for event in events if event.secondary_status]
    ends: list[datetime | None] = [event.at for event in entered[1:]]
    ends.append(None if job.ended else clock.now())
    return [
        Stage(event.secondary_status, (end - event.at).total_seconds() if end else None)
        for event, end in zip(entered, ends, strict=True)
    ]


def _state_fragment(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The part that changes while the job runs; when it has ended the whole page is asked for once more."""
    response = render(request, "training_jobs/_state.html", context)
    if context["job"].ended:
        response["HX-Refresh"] = "true"
    return response
