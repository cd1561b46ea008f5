"""What a request for an experiment can be wrong about, all of it at once, before anything is stored or started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from django.conf import settings

from endpoints.experiment_presets import Preset, preset_get
from endpoints.models import Experiment, Unserved
from endpoints.services.evaluation_checks import BATCHES_MAX, SINGLE_REQUESTS_MAX
from endpoints.services.evaluation_facts import has_k
from endpoints.services.experiment_grid import Grid, grid_check
from jobs.algorithms.base import AlgorithmSpec, DataFacts
from jobs.algorithms.registry import ALGORITHMS, algorithm_get
from jobs.instance_types import instance_type_get
from jobs.models import DatasetVersion
from jobs.services.channels import ChannelRequest, ResolvedChannel, channels_resolve
from jobs.services.request_checks import tags_check, whole_number_check
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, LimitExceeded, NotFound
from mlplatform.core.models import Project
from mlplatform.core.names import name_check, name_with_time
from mlplatform.core.text import text as _

PARALLELISM_MAX: Final = 20
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest:
    """An experiment as asked for. None is what the preset has, or else the default."""

    name: str | None
    preset: str
    algorithm: str | None
    hyperparameters: Mapping[str, Any] | None
    configurations: Sequence[Mapping[str, Any]] | None
    sample_sizes: Sequence[Any] | None
    instance_types: Sequence[str] | None
    train: str
    test: str
    training_instance_type: str | None
    parallelism: int | None
    unserved: str | None
    k_max: int | None
    batches: int | None
    single_requests: int | None
    tags: Mapping[str, Any]
    wrong: Sequence[FieldError] = ()
    """What the asker found out already, which is told with the rest."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A request that can be carried out."""

    name: str
    preset: str
    grid: Grid
    train: DatasetVersion
    test: DatasetVersion
    training_instance_type: str
    parallelism: int
    unserved: str
    k_max: int | None
    batches: int
    single_requests: int
    tags: dict[str, str]


_DEFAULTS: Final[Mapping[str, Any]] = {
    "algorithm": "knn",
    "hyperparameters": {},
    "configurations": (),
    "sample_sizes": (),
    "instance_types": (),
    "training_instance_type": "local.cpu",
    "parallelism": 1,
    "unserved": Unserved.WAIT.value,
    "batches": 100,
    "single_requests": 2000,
}


def experiment_check(*, project: Project, request: ExperimentRequest) -> Checked:
    """The request with its grid and the versions of its data.

    Raises:
        LimitExceeded: more cells than an experiment may have; looked at first, since all else takes longer.
        InvalidRequest: with every field that is wrong, a name that is taken among them.
        Conflict: nothing is wrong but that the name is taken.
    """
    request = _filled(request)
    _size_check(request)
    errors: list[FieldError] = []
    name = _name(request, errors)
    spec = _collect(errors, lambda: _algorithm(request.algorithm or ""))
    data = _data(project, spec, request, errors)
    grid = _grid(spec, data, request, errors)
    _collect(
        errors,
        lambda: instance_type_get(request.training_instance_type or "", field="training_instance_type"),
    )
    for field, high in (("parallelism", PARALLELISM_MAX), ("batches", BATCHES_MAX)):
        whole_number_check(field, getattr(request, field), 1, high, errors)
    whole_number_check("single_requests", request.single_requests, 0, SINGLE_REQUESTS_MAX, errors)
    _unserved(request, errors)
    _k_max(spec, grid, request, errors)
    tags = tags_check(request.tags, errors)
    known = {error.field for error in request.wrong}
    errors = [*request.wrong, *(error for error in errors if error.field not in known)]
    taken = Experiment.objects.filter(project=project, name=name).exists()
    if errors or grid is None:
        raise InvalidRequest.for_fields([*(name_taken(project, name).errors if taken else ()), *errors])
    if taken:
        raise name_taken(project, name)
    return Checked(
        name=name,
        preset=request.preset,
        grid=grid,
        train=_version(data["train"]),
        test=_version(data["test"]),
        training_instance_type=request.training_instance_type or "",
        parallelism=request.parallelism or 1,
        unserved=request.unserved or "",
        k_max=request.k_max,
        batches=request.batches or 1,
        single_requests=request.single_requests or 0,
        tags=tags,
    )


def name_taken(project: Project, name: str) -> Conflict:
    message = _(
        "An experiment named {name} already exists in project {project}",
        name=repr(name),
        project=project.name,
    )
    return Conflict(message, errors=[FieldError("name", message)])


def _filled(request: ExperimentRequest) -> ExperimentRequest:
    """What was left out, from the preset or else the defaults."""
    preset = preset_get(request.preset) if request.preset else None
    given = preset.request() if preset else {}
    for name, value in {**_DEFAULTS, **given}.items():
        if getattr(request, name) is None:
            request = replace(request, **{name: value})
    return _fitting(request, preset)


def _fitting(request: ExperimentRequest, preset: Preset | None) -> ExperimentRequest:
    """A preset whose sizes were changed keeps nothing that is for one of those left out."""
    asked = list(request.configurations or ())
    if preset is None or asked != preset.request()["configurations"]:
        return request
    kept = set(map(str, request.sample_sizes or ()))
    fitting = [
        {
            **row,
            "by_sample_size": {
                size: given for size, given in row.get("by_sample_size", {}).items() if size in kept
            },
        }
        for row in asked
    ]
    return replace(request, configurations=fitting)


def _size_check(request: ExperimentRequest) -> None:
    n_configurations = len(request.configurations or ())
    # None of one list must not let any number of another through.
    n_sizes, n_types = max(1, len(request.sample_sizes or ())), max(1, len(request.instance_types or ()))
    n_cells, limit = n_configurations * n_sizes * n_types, settings.MLPLATFORM_EXPERIMENT_CELLS_MAX
    if n_cells > limit:
        message = _(
            "An experiment may have {limit} cells; {configurations} configurations × {sizes} sample sizes × {types} "
            "instance types are {n}. Leave some out, or make several experiments of it; an operator sets the limit "
            "with MLPLATFORM_EXPERIMENT_CELLS_MAX.",
            limit=f"{limit:,}",
            configurations=n_configurations,
            sizes=n_sizes,
            types=n_types,
            n=f"{n_cells:,}",
        )
        raise LimitExceeded(message, errors=[FieldError("configurations", message)])


def _name(request: ExperimentRequest, errors: list[FieldError]) -> str:
    if not request.name:
        return name_with_time(request.preset or "experiment", clock.now())
    chosen = request.name
    _collect(errors, lambda: name_check(chosen))
    return chosen


def _algorithm(name: str) -> AlgorithmSpec:
    try:
        found = algorithm_get(name)
    except NotFound as error:
        raise InvalidRequest.for_field("algorithm", error.message) from None
    if found.is_open:
        raise InvalidRequest.for_field(
            "algorithm",
            _("an experiment compares built-in algorithms; use one of {names}", names=", ".join(ALGORITHMS)),
        )
    if found.label == "none":
        raise InvalidRequest.for_field(
            "algorithm",
            _(
                "{algorithm} predicts no label, so that its models cannot be measured against each other; "
                "choose a classifier or a regressor",
                algorithm=found.name,
            ),
        )
    return found


def _data(
    project: Project, spec: AlgorithmSpec | None, request: ExperimentRequest, errors: list[FieldError]
) -> dict[str, ResolvedChannel]:
    """Both datasets as the channels of the training jobs, which score what they have trained with the test data."""
    given = {"train": request.train, "test": request.test}
    missing = [FieldError(name, _("choose a dataset")) for name, reference in given.items() if not reference]
    errors += missing
    if spec is None or missing:
        return {}
    requests = {name: ChannelRequest(dataset=reference) for name, reference in given.items()}
    resolved, wrong = channels_resolve(project=project, spec=spec, requests=requests)
    errors += [FieldError(_field_of(error.field), error.message) for error in wrong]
    return {} if wrong else resolved


def _field_of(channel_field: str) -> str:
    """`channels.train.dataset` is the request's field `train`."""
    return channel_field.removeprefix("channels.").partition(".")[0]


def _grid(
    spec: AlgorithmSpec | None,
    data: Mapping[str, ResolvedChannel],
    request: ExperimentRequest,
    errors: list[FieldError],
) -> Grid | None:
    if spec is None:
        return None
    return grid_check(
        spec=spec,
        facts=data["train"].facts if data else DataFacts(),
        hyperparameters=request.hyperparameters or {},
        configurations=request.configurations or (),
        sample_sizes=request.sample_sizes or (),
        instance_types=request.instance_types or (),
        errors=errors,
    )


def _unserved(request: ExperimentRequest, errors: list[FieldError]) -> None:
    if request.unserved not in Unserved.values:
        accepted = ", ".join(Unserved.values)
        message = _(
            "{value} is not accepted; use one of {accepted}",
            value=repr(str(request.unserved)[:20]),
            accepted=accepted,
        )
        errors.append(FieldError("unserved", message))


def _k_max(
    spec: AlgorithmSpec | None, grid: Grid | None, request: ExperimentRequest, errors: list[FieldError]
) -> None:
    """No index answers with more neighbours than it was trained for."""
    k_max = request.k_max
    if k_max is None or spec is None:
        return
    if not has_k(spec.name):
        errors.append(FieldError("k_max", _("{algorithm} has no k; leave k_max out", algorithm=spec.name)))
        return
    least = min(_ks(grid) if grid else (), default=None)
    if least is not None and isinstance(k_max, int) and k_max > least[0]:
        message = _(
            "{k_max} exceeds {k}, the k of {name}; use 1 to {k}, or give {name} a larger k",
            k_max=k_max,
            k=least[0],
            name=least[1],
        )
        errors.append(FieldError("k_max", message))
        return
    whole_number_check("k_max", k_max, 1, least[0] if least else None, errors)


def _ks(grid: Grid) -> Iterator[tuple[int, str]]:
    """Each k with its configuration; as it was given where nothing can be trained for another reason."""
    for training in grid.trainings:
        yield training.values["k"], training.configuration.name
    if not grid.trainings:
        for row in grid.configurations:
            text = (dict(grid.hyperparameters) | dict(row.hyperparameters)).get("k", "")
            if text.isascii() and text.isdecimal() and 0 < len(text) < 10:
                yield int(text), row.name


def _version(channel: ResolvedChannel) -> DatasetVersion:
    assert channel.version is not None, "both channels were asked for by dataset"
    return channel.version


def _collect(errors: list[FieldError], check: Callable[[], T]) -> T | None:
    """The result of `check`, or None with its complaints added to `errors`."""
    try:
        return check()
    except InvalidRequest as error:
        errors += error.errors
        return None
