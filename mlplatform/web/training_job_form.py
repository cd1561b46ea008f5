"""What the page of a new training job shows: fields with their values and errors. Called by its view."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import algorithm_get, algorithm_list
from jobs.instance_types import instance_type_list
from jobs.selectors.datasets import dataset_list, dataset_version_get
from jobs.selectors.instances import instance_type_usage
from mlplatform.core.errors import FieldError, NotFound, PlatformError
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.forms.training_jobs import TrainingJobForm, errors_by_field
from mlplatform.web.metric_tester import definitions_context, log_choices
from mlplatform.web.script_form import FILE_FIELDS, SCRIPT_FIELDS, script_context, wrong_line_of

_WHOLE = frozenset({"name", "instance_type", "max_runtime_s"})
_PARTS = ("metric_definitions", "environment", "tags")


def form_context(
    request: HttpRequest, actor: Actor, form: TrainingJobForm, error: PlatformError | None
) -> dict[str, Any]:
    """The context of the page, with what `error` says at the fields that it names."""
    if not form.algorithm:
        form.algorithm = algorithm_list()[0].name
    spec = algorithm_get(form.algorithm)
    usage, served = instance_type_usage(project=actor.project), queues_served()
    wrong_line = wrong_line_of(error)
    error = error and translated_error(error)
    errors = errors_by_field(error.errors) if error else {}
    datasets = dataset_list(actor=actor, limit=100).items
    gone = gone_datasets(actor, form) if error is None and form.cloned_from else {}
    fields = (
        script_context(actor, form, errors, gone, wrong_line)
        if form.script is not None
        else _algorithm_fields(spec, form, errors, gone)
    )
    return {
        "form": form,
        "spec": spec,
        "algorithms": algorithm_list(),
        "datasets": datasets,
        "dataset_names": {dataset.name for dataset in datasets},
        "instance_types": [
            (instance, usage.get(instance.name, 0), instance.queue in served)
            for instance in instance_type_list()
        ],
        **definitions_context(form.metric_definitions, errors, request.POST),
        "log_choices": log_choices(actor=actor, first=form.cloned_from),
        "environment_error": _errors_named(errors, "environment"),
        "tags_error": _errors_named(errors, "tags"),
        "errors": errors,
        "error": error,
        "unplaced": _unplaced(error, spec, form),
        **fields,
        # The last: by then a script's form knows the paths of its files.
        "api_call": form.api_call(
            base_url=request.build_absolute_uri("/").rstrip("/"), project=actor.project.name
        ),
    }


def gone_datasets(actor: Actor, form: TrainingJobForm) -> dict[str, str]:
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


def errors_below(errors: dict[str, str], prefix: str) -> str:
    """What is wrong with a field and with its parts."""
    return " ".join(
        message for name, message in errors.items() if name == prefix or name.startswith(f"{prefix}.")
    )


def _algorithm_fields(
    spec: AlgorithmSpec, form: TrainingJobForm, errors: dict[str, str], gone: dict[str, str]
) -> dict[str, Any]:
    """The declared hyperparameters and channels of a built-in algorithm."""
    return {
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
                errors_below(errors, f"channels.{channel.name}") or gone.get(channel.name),
            )
            for channel in spec.channels
        ],
    }


def _errors_named(errors: dict[str, str], prefix: str) -> str:
    """What is wrong with a field of many lines, where the part has to be named."""
    return " ".join(
        message if name == prefix else f"{name.removeprefix(prefix + '.')}: {message}"
        for name, message in errors.items()
        if name == prefix or name.startswith(f"{prefix}.")
    )


def _unplaced(error: PlatformError | None, spec: AlgorithmSpec, form: TrainingJobForm) -> list[FieldError]:
    """What is wrong with no field of the form: a hyperparameter or channel that the algorithm does not have."""
    whole, below = set(_WHOLE), list(_PARTS)
    if form.script is not None:
        whole |= SCRIPT_FIELDS | {f"hyperparameters.{name}" for name in form.hyperparameters}
        below += [*FILE_FIELDS, *(f"channels.{name}" for name in form.channels)]
    else:
        whole |= {
            f"hyperparameters.{declared.name}" for declared in spec.hyperparameters if not declared.hidden
        }
        below += [f"channels.{channel.name}" for channel in spec.channels]
    return [
        one
        for one in (error.errors if error else ())
        if one.field not in whole and not one.field.startswith(tuple(below))
    ]
