"""The form of a new experiment: filled by a preset, an earlier experiment or a person; its size while they type."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from endpoints.experiment_presets import PRESETS, preset_list
from endpoints.models import Unserved
from endpoints.selectors.experiments import experiment_get
from endpoints.services.evaluation_facts import has_k
from endpoints.services.experiments import experiment_create
from jobs.algorithms.registry import algorithm_get, algorithm_list
from jobs.models import DatasetVersion
from jobs.selectors.datasets import dataset_list, dataset_version_get
from jobs.selectors.prices import instance_types_priced
from mlplatform.core import clock, names
from mlplatform.core.errors import NotFound, PlatformError
from mlplatform.core.models import NodeKind, Role
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.access import page_actor
from mlplatform.web.dataset_choices import test_choices, train_choices
from mlplatform.web.experiment_fields import (
    BLANK,
    VARIED,
    cards,
    has_sample_size,
    index_types,
    number_fields,
    shared_fields,
    shared_names,
)
from mlplatform.web.experiment_size import grid_size
from mlplatform.web.forms.experiment_errors import errors_below, row_errors, shared_errors, unplaced
from mlplatform.web.forms.experiments import ExperimentForm
from mlplatform.web.forms.suggestions import hyperparameters_suggested
from mlplatform.web.forms.training_jobs import errors_of_new

SAMPLE_PRESET: Final = next(preset.name for preset in preset_list() if preset.sample)
"""The preset that a person without data of their own begins with."""
_DEFAULT_TYPES: Final = ["local.cpu"]
_TRAIN, _TEST = "-train", "-test"
_BLANK_ROW: Final = {"name": "", "index_type": "", "more": ""}
_PLACED: Final = (
    "name",
    "description",
    "train",
    "test",
    "configurations",
    "sample_sizes",
    "instance_types",
    "unserved",
    "parallelism",
    "k_max",
    "batches",
    "single_requests",
    "training_instance_type",
)
"""Fields beside which an error can stand; those of the algorithm come to them."""


@require_http_methods(["GET", "POST"])
def experiment_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, _first_form(request, actor))
    form = ExperimentForm.from_post(request.POST)
    intent = request.POST.get("intent", "")
    if intent == "preview":
        return render(request, "experiments/_preview.html", _preview(request, actor, form))
    if intent == "preset":
        _fill(actor, form)
    if intent == "data":
        _suggest(actor, form)
    if intent == "algorithm":
        _begin_again(actor, form)
    if intent:
        return _form_page(request, actor, form)
    try:
        experiment = experiment_create(actor=actor, **form.service_arguments())
    except PlatformError as error:
        return _form_page(request, actor, form, error=error)
    return redirect("web:experiment-detail", project=project, name=experiment.name)


def _first_form(request: HttpRequest, actor: Actor) -> ExperimentForm:
    source = request.GET.get("clone")
    if source:
        form = ExperimentForm.from_experiment(experiment_get(actor=actor, name=source))
        form.name = names.name_with_time(source[:30], clock.now())
        return form
    asked = request.GET.get("preset", "")
    form = ExperimentForm(
        preset=asked if asked in PRESETS else BLANK,
        train=request.GET.get("train", ""),
        test=request.GET.get("test", ""),
    )
    _fill(actor, form)
    return form


def _fill(actor: Actor, form: ExperimentForm) -> None:
    """Takes over the preset; a name, and the data it was made for, where none are given yet."""
    preset = PRESETS.get(form.preset)
    if preset is None:
        form.fill(
            {
                "configurations": [],
                "sample_sizes": [],
                "instance_types": _DEFAULT_TYPES,
                "hyperparameters": {},
            }
        )
    else:
        form.fill(preset.request())
    if not form.name:
        form.name = names.name_with_time(form.preset or "experiment", clock.now())
    if preset is not None and preset.sample and not form.train:
        form.train = f"{preset.sample}{_TRAIN}"
        form.train = form.train if _known(actor, form.train) else ""
    _suggest(actor, form)


def _suggest(actor: Actor, form: ExperimentForm) -> None:
    """What follows from the training data, where the form says nothing yet: its other half, sizes, hyperparameters."""
    version = _known(actor, form.train)
    if version is None:
        return
    other = f"{form.train.removesuffix(_TRAIN)}{_TEST}"
    if form.train.endswith(_TRAIN) and not form.test and _known(actor, other):
        form.test = other
    found = hyperparameters_suggested(algorithm_get(form.algorithm), version)
    if "sample_size" in found and not form.sample_sizes:
        form.sample_sizes = found["sample_size"]
    form.hyperparameters = {
        name: value for name, value in found.items() if name not in VARIED and name != "feature_dim"
    } | form.hyperparameters


def _begin_again(actor: Actor, form: ExperimentForm) -> None:
    """Another algorithm: what only the one before knows is dropped, and what the data suggests for this one comes."""
    spec = algorithm_get(form.algorithm or algorithm_list()[0].name)
    form.preset, form.hyperparameters = BLANK, {}
    if not index_types(spec):
        for row in form.configurations:
            row["index_type"] = ""
        form.configurations = [row for row in form.configurations if any(row.values())]
    if not has_sample_size(spec):
        form.sample_sizes = ""
    if not has_k(spec.name):
        form.k_max = ""
    _suggest(actor, form)


def _known(actor: Actor, reference: str) -> DatasetVersion | None:
    try:
        return dataset_version_get(actor=actor, reference=reference) if reference else None
    except NotFound:
        return None


def _form_page(
    request: HttpRequest, actor: Actor, form: ExperimentForm, *, error: PlatformError | None = None
) -> HttpResponse:
    spec = algorithm_get(form.algorithm or algorithm_list()[0].name)
    error = error and translated_error(error)
    empty = [name for name in shared_names(spec) if not form.hyperparameters.get(name)]
    errors = shared_errors(errors_of_new(error), empty=empty, n_rows=len(form.configurations))
    datasets = dataset_list(actor=actor, limit=100).items
    hosts, workers = _served()
    shared = shared_fields(spec, form, errors)
    optional = [entry for entry in shared if not entry[0]["required"]]
    placed = [*_PLACED, *(f"hyperparameters.{entry[0]['name']}" for entry in shared)]
    context = {
        "form": form,
        "spec": spec,
        "algorithms": [one for one in algorithm_list() if one.label != "none"],
        "presets": cards(),
        "datasets": datasets,
        "train_choices": train_choices(datasets, form.train),
        "test_choices": test_choices(datasets, train=form.train, chosen=form.test),
        "train_rows": next(
            (one.latest.n_rows for one in datasets if one.name == form.train and one.latest), None
        ),
        "rows": [
            (row, row_errors(errors, place)) for place, row in enumerate(form.configurations or [_BLANK_ROW])
        ],
        "index_types": index_types(spec),
        "has_sample_size": has_sample_size(spec),
        "sizes_error": errors_below(errors, "sample_sizes"),
        "types_error": errors_below(errors, "instance_types"),
        "instance_types": [(one, one.queue in hosts) for one in instance_types_priced()],
        "training_types": [(one, one.queue in workers) for one in instance_types_priced()],
        "unserved_choices": Unserved.choices,
        "required": [entry for entry in shared if entry[0]["required"]],
        "optional": optional,
        "optional_used": any(value or problem for _declared, value, problem in optional),
        "measures": number_fields(form, errors),
        "errors": errors,
        "error": error,
        "unplaced": unplaced(error.errors, placed) if error else [],
        **_preview(request, actor, form),
    }
    return render(request, "experiments/new.html", context, status=error.http_status if error else 200)


def _preview(request: HttpRequest, actor: Actor, form: ExperimentForm) -> dict[str, Any]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    hosts, _workers = _served()
    return {
        "size": grid_size(form, served=hosts, limit=settings.MLPLATFORM_EXPERIMENT_CELLS_MAX),
        "api_call": form.api_call(base_url=base_url, project=actor.project.name),
    }


def _served() -> tuple[frozenset[str], frozenset[str]]:
    """The queues of hosts, where endpoints run, and of workers, where jobs do."""
    return queues_served(kind=NodeKind.HOST), queues_served()
