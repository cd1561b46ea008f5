"""The grid of an experiment as asked for, checked: configurations × sample sizes × instance types → cells.

All that is wrong is collected at once, each at its place in the request. Called by `experiment_checks`; what becomes of
cells is `endpoints.experiment_plan`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.algorithms.base import AlgorithmSpec, DataFacts
from jobs.instance_types import instance_type_get
from jobs.services.request_checks import hyperparameters_as_text
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.names import name_check
from mlplatform.core.text import text as _

CONFIGURATION_NAME_MAX: Final = 40
SAMPLE_SIZE: Final = "sample_size"
"""The hyperparameter that a sample size of the grid sets."""
_HYPERPARAMETERS: Final = "hyperparameters"
_BY_SIZE: Final = "by_sample_size"
_SHOWN_MAX: Final = 20


@dataclass(frozen=True)
class Configuration:
    """One row of the grid: `by_size` holds for one sample size only, and wins over what holds for all."""

    name: str
    hyperparameters: Mapping[str, str]
    by_size: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, _HYPERPARAMETERS: dict(self.hyperparameters)}
        if self.by_size:
            found[_BY_SIZE] = {str(size): dict(given) for size, given in self.by_size.items()}
        return found


@dataclass(frozen=True)
class Training:
    """What is trained once: a configuration with a sample size. `values` are typed, with defaults."""

    configuration: Configuration
    sample_size: int | None
    hyperparameters: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_sampled(self) -> int | None:
        """The sample size, also where a hyperparameter gives it and the grid does not."""
        found = self.values.get(SAMPLE_SIZE)
        return self.sample_size or (found if isinstance(found, int) else None)

    def key(self, algorithm: str) -> str:
        """The same for what is trained alike, and for nothing else."""
        content = json.dumps([algorithm, dict(self.hyperparameters)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Grid:
    """What was asked for and can be had; its cells go by configuration, then sample size, then instance type."""

    algorithm: str
    hyperparameters: Mapping[str, str]
    configurations: Sequence[Configuration]
    sample_sizes: Sequence[int]
    instance_types: Sequence[str]
    trainings: Sequence[Training]

    @property
    def cells(self) -> Iterator[tuple[Training, str]]:
        return ((training, name) for training in self.trainings for name in self.instance_types)


def grid_check(
    *,
    spec: AlgorithmSpec,
    facts: DataFacts,
    hyperparameters: Mapping[str, Any],
    configurations: Sequence[Mapping[str, Any]],
    sample_sizes: Sequence[Any],
    instance_types: Sequence[str],
    errors: list[FieldError],
) -> Grid:
    """The grid with its trainings. What is wrong is added to `errors`; then the grid is of no use.

    Args:
        facts: Of the data that is trained on; every training is validated against them.
        hyperparameters: Hold for all configurations, which win over them.
    """
    n_before = len(errors)
    sizes = _sizes(spec, facts, sample_sizes, errors)
    refused = {str(size) for size in sample_sizes} - {str(size) for size in sizes}
    shared = _texts(hyperparameters, _HYPERPARAMETERS, bool(sample_sizes), errors)
    rows = [_configuration(one, place, sizes, refused, errors) for place, one in enumerate(configurations)]
    if not rows:
        errors.append(FieldError("configurations", _("give at least one configuration")))
    _types(instance_types, errors)
    _repeated("configurations", [row.name for row in rows], errors)
    # What would only follow from an error that is told already is not told.
    told = {error.field.rpartition(".")[2] for error in errors[n_before:]} | (
        {SAMPLE_SIZE} if refused else set()
    )
    trainings = list(_trainings(spec, facts, shared, rows, sizes, told, errors))
    if len(errors) == n_before:
        _alike(trainings, rows, errors)
    return Grid(spec.name, shared, rows, sizes, list(instance_types), trainings)


def _trainings(
    spec: AlgorithmSpec,
    facts: DataFacts,
    shared: Mapping[str, str],
    rows: Sequence[Configuration],
    sizes: Sequence[int],
    told: Collection[str],
    errors: list[FieldError],
) -> Iterator[Training]:
    """`told` are the names of hyperparameters with which something is wrong already."""
    said: set[tuple[str, str]] = set()
    for place, row in enumerate(rows):
        for size in sizes or (None,):
            special = row.by_size.get(size, {}) if size is not None else {}
            texts = {**shared, **row.hyperparameters, **special}
            if size is not None:
                texts[SAMPLE_SIZE] = str(size)
            training = Training(row, size, texts)
            try:
                yield Training(row, size, texts, spec.validate(texts, facts))
            except InvalidRequest as refused:
                for error in refused.errors:
                    if error.field.rpartition(".")[2] in told:
                        continue
                    found = FieldError(_place(error.field, place, training, special, shared), error.message)
                    if (found.field, str(found.message)) not in said:
                        said.add((found.field, str(found.message)))
                        errors.append(found)


def _place(
    named: str,
    place: int,
    training: Training,
    special: Mapping[str, str],
    shared: Mapping[str, str],
) -> str:
    """Where in the request the hyperparameter was given; what is missing is missed in the configuration."""
    name = named.removeprefix(f"{_HYPERPARAMETERS}.")
    if name in special:
        return f"configurations.{place}.{_BY_SIZE}.{training.sample_size}.{name}"
    if name == SAMPLE_SIZE and training.sample_size is not None:
        return "sample_sizes"
    if name in shared and name not in training.configuration.hyperparameters:
        return named
    return f"configurations.{place}.{named}"


def _sizes(
    spec: AlgorithmSpec, facts: DataFacts, sample_sizes: Sequence[Any], errors: list[FieldError]
) -> list[int]:
    if sample_sizes and all(declared.name != SAMPLE_SIZE for declared in spec.hyperparameters):
        message = _("{algorithm} takes no sample: leave the sample sizes out", algorithm=spec.name)
        errors.append(FieldError("sample_sizes", message))
    sizes: list[int] = []
    for place, size in enumerate(sample_sizes):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            message = _("{value} is not accepted; use a whole number from 1", value=str(size)[:40])
            errors.append(FieldError(f"sample_sizes.{place}", message))
        elif facts.n_rows is not None and size > facts.n_rows:
            message = _(
                "{size} exceeds the {n} rows of the training data; use 1 to {n}",
                size=f"{size:,}",
                n=f"{facts.n_rows:,}",
            )
            errors.append(FieldError(f"sample_sizes.{place}", message))
        else:
            sizes.append(size)
    _repeated("sample_sizes", sizes, errors)
    return sizes


def _types(instance_types: Sequence[str], errors: list[FieldError]) -> None:
    if not instance_types:
        errors.append(FieldError("instance_types", _("give at least one instance type")))
    for place, name in enumerate(instance_types):
        try:
            instance_type_get(name, field=f"instance_types.{place}")
        except InvalidRequest as error:
            errors += error.errors
    _repeated("instance_types", instance_types, errors)


def _configuration(
    given: Mapping[str, Any],
    place: int,
    sizes: Sequence[int],
    refused: Collection[str],
    errors: list[FieldError],
) -> Configuration:
    """`refused` are sizes of which it has been said why they cannot be had."""
    where = f"configurations.{place}"
    name = str(given.get("name") or "")
    try:
        name_check(name, field=f"{where}.name", max_length=CONFIGURATION_NAME_MAX)
    except InvalidRequest as error:
        errors += error.errors
    with_sizes = bool(sizes or refused)
    texts = _texts(given.get(_HYPERPARAMETERS) or {}, f"{where}.{_HYPERPARAMETERS}", with_sizes, errors)
    asked = {str(size): special for size, special in (given.get(_BY_SIZE) or {}).items()}
    known = {str(size): size for size in sizes}
    unknown = [size for size in asked if size not in known and size not in refused]
    errors += _sizes_unknown(unknown, list(known), where)
    by_size = {
        known[size]: _texts(special, f"{where}.{_BY_SIZE}.{size}", True, errors)
        for size, special in asked.items()
        if size in known
    }
    return Configuration(name, texts, by_size)


def _sizes_unknown(unknown: Sequence[str], known: Sequence[str], where: str) -> Iterator[FieldError]:
    """Of very many the first few, with the first few that there are."""
    listed = ", ".join(known[:_SHOWN_MAX]) + (", …" if len(known) > _SHOWN_MAX else "")
    message = _("is none of the sample sizes ({listed}); leave it out", listed=listed or _("none"))
    return (FieldError(f"{where}.{_BY_SIZE}.{size[:20]}", message) for size in unknown[:_SHOWN_MAX])


def _texts(
    given: Mapping[str, Any], where: str, with_sizes: bool, errors: list[FieldError]
) -> dict[str, str]:
    """Hyperparameters as text; the sample size is not among them where the grid has sizes."""
    wrong: list[FieldError] = []
    texts = hyperparameters_as_text(given, wrong)
    errors += [
        FieldError(f"{where}.{error.field.removeprefix(f'{_HYPERPARAMETERS}.')}", error.message)
        for error in wrong
    ]
    if with_sizes and SAMPLE_SIZE in texts:
        message = _("is given by the sample sizes of the experiment; leave it out here")
        errors.append(FieldError(f"{where}.{SAMPLE_SIZE}", message))
    return texts


def _repeated(where: str, values: Sequence[Hashable], errors: list[FieldError]) -> None:
    for value, n in Counter(values).items():
        if n > 1 and value:
            errors.append(FieldError(where, _("{value} is given {n} times", value=str(value)[:63], n=n)))


def _alike(trainings: Sequence[Training], rows: Sequence[Configuration], errors: list[FieldError]) -> None:
    """Two configurations that train the same would be one with two names."""
    first: dict[str, str] = {}
    for training in trainings:
        name = training.configuration.name
        key = training.key("")
        other = first.setdefault(key, name)
        if other != name:
            place = [row.name for row in rows].index(name)
            message = _("trains the same as {other}; leave one of them out", other=other)
            found = FieldError(f"configurations.{place}", message)
            if found not in errors:
                errors.append(found)
