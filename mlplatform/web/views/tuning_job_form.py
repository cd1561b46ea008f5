"""The form of a new tuning job: filled for an algorithm, a training job or an earlier tuning job."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import SCRIPT, algorithm_get, algorithm_list
from jobs.frameworks import FRAMEWORKS
from jobs.models import DatasetVersion
from jobs.models.tuning import TuningStrategy
from jobs.selectors.datasets import dataset_list, dataset_version_get
from jobs.selectors.prices import instance_types_priced, prices_now
from jobs.selectors.scripts import scripts_recent
from jobs.selectors.tuning import tuning_parents
from jobs.selectors.tuning_forecast import typical_job
from jobs.services.training import training_job_clone_request
from jobs.services.tuning import tuning_job_clone_request, tuning_job_create
from mlplatform.core import clock
from mlplatform.core.errors import NotFound, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.forms.suggestions import hyperparameters_suggested
from mlplatform.web.forms.training_jobs import errors_of_new
from mlplatform.web.forms.tuning_errors import errors_below, rows_with_errors, unplaced, with_labels
from mlplatform.web.forms.tuning_jobs import TuningJobForm
from mlplatform.web.forms.tuning_rows import KINDS, SCALINGS, ParameterRow
from mlplatform.web.metric_tester import definitions_context
from mlplatform.web.tuning_fields import (
    SAMPLES,
    declared_options,
    default_name,
    direction_of,
    first_rows,
    hints_of,
    metric_choices,
    resource_choices,
    with_fixed,
    with_ranges,
)
from mlplatform.web.tuning_size import tuning_size

_WARM_TYPES: Final = ("IdenticalDataAndAlgorithm", "TransferLearning")
_PLACED: Final = (
    "name",
    "description",
    "algorithm",
    "script",
    "objective_metric",
    "objective_type",
    "strategy",
    "max_jobs",
    "max_parallel_jobs",
    "max_runtime_s",
    "job_max_runtime_s",
    "early_stopping",
    "hyperband",
    "completion",
    "warm_start",
    "random_seed",
    "channels",
    "metric_definitions",
    "instance_type",
    "environment",
    "tags",
)
"""Fields beside which an error can stand; those of the rows come to them."""


@require_http_methods(["GET", "POST"])
def tuning_job_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, _first_form(request, actor))
    form = TuningJobForm.from_post(request.POST)
    intent = request.POST.get("intent", "")
    if intent == "preview":
        return render(request, "tuning_jobs/_preview.html", _preview(request, actor, form))
    if intent == "algorithm":
        _begin_with(actor, form)
    if intent == "data":
        form.rows = with_fixed(form.rows, _suggested(actor, form))
    if intent:
        return _form_page(request, actor, form)
    form.objective_type = form.objective_type or direction_of(
        algorithm_get(form.algorithm), form.objective_metric
    )
    try:
        tuning_job = tuning_job_create(actor=actor, request=form.request())
    except PlatformError as error:
        return _form_page(request, actor, form, error=error)
    return redirect("web:tuning_job", project=project, name=tuning_job.name)


def _first_form(request: HttpRequest, actor: Actor) -> TuningJobForm:
    """For `?clone=` or `?warm=` an earlier tuning job, for `?job=` a training job, else for `?algorithm=&train=`."""
    earlier = request.GET.get("clone") or request.GET.get("warm")
    if earlier:
        form = TuningJobForm.from_request(tuning_job_clone_request(actor=actor, name=earlier))
        if request.GET.get("warm"):
            form.warm_type, form.warm_parents = _WARM_TYPES[0], [earlier]
    elif request.GET.get("job"):
        form = TuningJobForm.from_training_request(
            training_job_clone_request(actor=actor, name=request.GET["job"])
        )
        _complete(form, algorithm_get(form.algorithm))
    else:
        form = _of_algorithm(request, actor)
    stem = earlier or request.GET.get("job") or form.algorithm
    form.name = default_name(stem, clock.now())
    return form


def _of_algorithm(request: HttpRequest, actor: Actor) -> TuningJobForm:
    if request.GET.get("sample"):
        return _of_sample(actor)
    form = TuningJobForm(algorithm=request.GET.get("algorithm") or algorithm_list()[0].name)
    for channel in ("train", "validation", "test"):
        if request.GET.get(channel):
            form.channels[channel] = {"dataset": request.GET[channel], "input_mode": "File"}
    _begin_with(actor, form)
    return form


def _of_sample(actor: Actor) -> TuningJobForm:
    """Four short jobs on a sample dataset that is there and split already; without data where none is."""
    sample = next((one for one in SAMPLES if all(_known(actor, half) for half in one.halves)), None)
    form = TuningJobForm(algorithm="xgboost", max_jobs="4", rows=[*(sample or SAMPLES[0]).rows])
    form.objective_metric, form.objective_type = (sample or SAMPLES[0]).metric, "Minimize"
    if sample is not None:
        form.channels = {
            name: {"dataset": half, "input_mode": "File"}
            for name, half in zip(("train", "validation"), sample.halves, strict=True)
        }
    return form


def _begin_with(actor: Actor, form: TuningJobForm) -> None:
    """Another algorithm: ranges of its own and values that fit the data; those before would mean something else."""
    spec = algorithm_get(form.algorithm or algorithm_list()[0].name)
    form.rows = first_rows(spec, _suggested(actor, form))
    form.objective_metric = form.objective_type = ""
    _complete(form, spec)


def _complete(form: TuningJobForm, spec: AlgorithmSpec) -> None:
    """What the algorithm declares, where the form says nothing: ranges, the objective and its direction."""
    form.rows = with_ranges(spec, form.rows)
    known = metric_choices(spec, form.metric_definitions)
    if not form.objective_metric and known:
        validated = [
            one for one in known if one.name.startswith("validation:") and "validation" in form.channels
        ]
        form.objective_metric = (validated or known)[0].name
    chosen = next((one.direction for one in known if one.name == form.objective_metric), "")
    form.objective_type = form.objective_type or chosen


def _suggested(actor: Actor, form: TuningJobForm) -> dict[str, str]:
    version = _known(actor, form.channels.get("train", {}).get("dataset", ""))
    if version is None or form.is_script:
        spec = algorithm_get(form.algorithm or algorithm_list()[0].name)
        return {
            one.name: str(one.example)
            for one in spec.hyperparameters
            if one.required and one.default is None and one.example is not None
        }
    return hyperparameters_suggested(algorithm_get(form.algorithm), version)


def _known(actor: Actor, reference: str) -> DatasetVersion | None:
    with suppress(NotFound):
        return dataset_version_get(actor=actor, reference=reference) if reference else None
    return None


def _form_page(
    request: HttpRequest, actor: Actor, form: TuningJobForm, *, error: PlatformError | None = None
) -> HttpResponse:
    spec = algorithm_get(form.algorithm or algorithm_list()[0].name)
    error = error and translated_error(error)
    errors = {field: with_labels(message) for field, message in errors_of_new(error).items()}
    rows, rows_missing = rows_with_errors(form.rows, errors)
    datasets = dataset_list(actor=actor, limit=100).items
    served = queues_served()
    context = {
        "form": form,
        "spec": spec,
        "algorithms": algorithm_list(),
        "script_name": SCRIPT,
        "scripts": scripts_recent(actor=actor) if form.is_script else [],
        "frameworks": list(FRAMEWORKS.values()),
        "datasets": datasets,
        "dataset_names": {one.name for one in datasets},
        "channels": _channels(form, spec, errors),
        "channel_rows": [*form.channels.items()] or [("train", {})],
        "channels_error": errors_below(errors, "channels"),
        "rows": rows,
        "blank": ParameterRow(),
        "rows_missing": rows_missing,
        "kinds": KINDS,
        "scalings": SCALINGS,
        "declared": declared_options(spec),
        "hints": hints_of(spec, form.rows),
        "metrics": metric_choices(spec, form.metric_definitions),
        **definitions_context(form.metric_definitions, errors, request.POST),
        "strategies": TuningStrategy.choices,
        "resources": resource_choices(spec, form),
        "parents": tuning_parents(actor=actor),
        "warm_types": _WARM_TYPES,
        "instance_types": [(one, one.queue in served) for one in instance_types_priced()],
        "script_error": errors_below(errors, "script", "algorithm"),
        "warm_error": errors_below(errors, "warm_start"),
        "hyperband_error": errors.get("hyperband", ""),
        "completion_error": errors.get("completion", ""),
        "environment_error": errors_below(errors, "environment"),
        "tags_error": errors_below(errors, "tags"),
        "errors": errors,
        "error": error,
        "unplaced": unplaced(error.errors, _PLACED) if error else [],
        **_preview(request, actor, form),
    }
    return render(request, "tuning_jobs/new.html", context, status=error.http_status if error else 200)


def _channels(form: TuningJobForm, spec: AlgorithmSpec, errors: dict[str, str]) -> list[tuple[Any, Any, str]]:
    """The declared channels with what was given and what is wrong with it; a script's have rows of their own."""
    return [
        (channel, form.channels.get(channel.name, {}), errors_below(errors, f"channels.{channel.name}"))
        for channel in spec.channels
    ]


def _preview(request: HttpRequest, actor: Actor, form: TuningJobForm) -> dict[str, Any]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    price = prices_now().of(form.instance_type)
    typical = typical_job(actor=actor, algorithm=form.algorithm, instance_type=form.instance_type)
    return {
        "size": tuning_size(form, typical=typical, price=price),
        "api_call": form.api_call(base_url=base_url, project=actor.project.name),
    }
