"""Pages of training jobs: list, new, one job with its tabs, stop and delete."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import algorithm_get, algorithm_list
from jobs.instance_types import instance_type_list
from jobs.metric_regex import metric_definition_check, metric_matches
from jobs.selectors.datasets import dataset_list, dataset_version_get
from jobs.selectors.instances import instance_type_usage
from jobs.selectors.training import (
    training_job_artifact,
    training_job_get,
    training_job_metrics,
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
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import Conflict, FieldError, NotFound, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.charts.training_jobs import metric_figure, metric_groups
from mlplatform.web.forms.suggestions import hyperparameters_suggested
from mlplatform.web.forms.training_jobs import TrainingJobForm, errors_by_field, hyperparameters_given
from mlplatform.web.views.confirm import confirm_page
from mlplatform.web.views.training_job_detail import TABS, detail_context


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
        _begin_again(actor, form)
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
    context = detail_context(request, actor, job, tab if tab in TABS else "overview")
    polled = getattr(request, "htmx", False) and request.htmx.target == "job-state"  # type: ignore[attr-defined]
    return render(request, "training_jobs/_poll.html" if polled else "training_jobs/detail.html", context)


@require_POST
def training_job_stop_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    try:
        training_job_stop(actor=page_actor(request, project), name=name)
    except Conflict as error:  # it ended while the button was on the page
        messages.warning(request, translated_error(error).message)
    else:
        messages.info(request, _("The job is asked to stop."))
    url = reverse("web:training-job-detail", kwargs={"project": project, "name": name})
    tab = request.GET.get("tab", "")
    return redirect(f"{url}?tab={tab}" if tab in TABS else url)


@require_http_methods(["GET", "POST"])
def training_job_delete_view(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        job = training_job_get(actor=actor, name=name)
        return confirm_page(
            request,
            title=_("Delete training job %(name)s?") % {"name": job.name},
            text=_("Deleted with it:"),
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
def training_job_artifact_view(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    chunks, filename, size_bytes = training_job_artifact(actor=page_actor(request, project), name=name)
    return DownloadResponse(chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip")


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
        context["error"] = translated_error(error).message
    return render(request, "training_jobs/_metric_test.html", context)


def _first_form(request: HttpRequest, actor: Actor) -> TrainingJobForm:
    source = request.GET.get("clone")
    if source:
        form = TrainingJobForm.from_request(training_job_clone_request(actor=actor, name=source))
        form.cloned_from = source
        form.hyperparameters |= hyperparameters_given(request.GET)
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


def _begin_again(actor: Actor, form: TrainingJobForm) -> None:
    """Another algorithm: its hyperparameters are as on a form opened for the dataset. Those of the one before would
    mean something else, even of the same name.
    """
    form.hyperparameters = {}
    chosen = form.channels.get("train", {}).get("dataset")
    if not chosen:
        return
    with suppress(NotFound):
        version = dataset_version_get(actor=actor, reference=chosen)
        form.hyperparameters = hyperparameters_suggested(algorithm_get(form.algorithm), version)


def _form_page(
    request: HttpRequest, actor: Actor, form: TrainingJobForm, error: PlatformError | None = None
) -> HttpResponse:
    if not form.algorithm:
        form.algorithm = algorithm_list()[0].name
    spec = algorithm_get(form.algorithm)
    usage = instance_type_usage(project=actor.project)
    served = queues_served()
    error = error and translated_error(error)
    errors = errors_by_field(error.errors) if error else {}
    datasets = dataset_list(actor=actor, limit=100).items
    gone = _gone_datasets(actor, form) if error is None and form.cloned_from else {}
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
            (
                channel,
                form.channels.get(channel.name, {}),
                _errors_below(errors, f"channels.{channel.name}") or gone.get(channel.name),
            )
            for channel in spec.channels
        ],
        "datasets": datasets,
        "dataset_names": {dataset.name for dataset in datasets},
        "instance_types": [
            (instance, usage.get(instance.name, 0), instance.queue in served)
            for instance in instance_type_list()
        ],
        "metric_rows": form.metric_definitions or [{"name": "", "regex": ""}],
        "metric_errors": [text for name, text in errors.items() if name.startswith("metric_definitions")],
        "environment_error": _errors_named(errors, "environment"),
        "tags_error": _errors_named(errors, "tags"),
        "errors": errors,
        "error": error,
        "unplaced": _unplaced(error, spec),
        "api_call": form.api_call(
            base_url=request.build_absolute_uri("/").rstrip("/"), project=actor.project.name
        ),
    }
    return render(request, "training_jobs/new.html", context, status=error.http_status if error else 200)


def _gone_datasets(actor: Actor, form: TrainingJobForm) -> dict[str, str]:
    """What is to be said at once of a cloned job's channels whose data was deleted since."""
    gone = {}
    for channel, values in form.channels.items():
        reference = values.get("dataset")
        try:
            if reference:
                dataset_version_get(actor=actor, reference=reference)
        except NotFound:
            gone[channel] = _("Dataset %(name)s is no longer there; choose another.") % {"name": reference}
    return gone


def _errors_below(errors: dict[str, str], prefix: str) -> str:
    """What is wrong with a field and with its parts."""
    return " ".join(
        message for name, message in errors.items() if name == prefix or name.startswith(f"{prefix}.")
    )


def _errors_named(errors: dict[str, str], prefix: str) -> str:
    """The same for a field of many lines, where the part has to be named."""
    return " ".join(
        message if name == prefix else f"{name.removeprefix(prefix + '.')}: {message}"
        for name, message in errors.items()
        if name == prefix or name.startswith(f"{prefix}.")
    )


def _unplaced(error: PlatformError | None, spec: AlgorithmSpec) -> list[FieldError]:
    """What is wrong with no field of the form: a hyperparameter or channel that the algorithm does not have."""
    whole = {"name", "instance_type", "max_runtime_s"}
    whole |= {f"hyperparameters.{declared.name}" for declared in spec.hyperparameters if not declared.hidden}
    channels = tuple(f"channels.{channel.name}" for channel in spec.channels)
    below = ("metric_definitions", "environment", "tags", *channels)
    return [
        one
        for one in (error.errors if error else ())
        if one.field not in whole and not one.field.startswith(below)
    ]
