"""What a tuning job takes from earlier ones: which parents may be, and which of their trials are of use.

The service's rules: one to five parents that have ended; the same objective and direction; the same hyperparameters,
of which at most ten are static here and tuned there; what is taken is what a parent tried itself, not what it took from
parents of its own. IdenticalDataAndAlgorithm also asks for the same algorithm or script and the same data, and then
believes the parents' values; TransferLearning tries their best points first. Called by `tuning_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.models import Source, TuningJob, TuningTrial
from jobs.tuning.ranges import Range, ranges_from_json
from mlplatform.core.errors import FieldError
from mlplatform.core.models import Project
from mlplatform.core.text import text as _

IDENTICAL: Final = "IdenticalDataAndAlgorithm"
TRANSFER: Final = "TransferLearning"
TYPES: Final = (IDENTICAL, TRANSFER)
PARENTS_MAX: Final = 5
CHANGES_MAX: Final = 10
FIRST_MAX: Final = 5
"""So many of the best points of the parents are tried first where their values are of other data."""
KNOWN_MAX: Final = 1000
"""Of so many trials of the parents, the best ones, the values are taken over."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """What of the new tuning job decides whom it may inherit from."""

    objective_metric: str
    objective_type: str
    strategy: str
    ranges: Sequence[Range]
    static: Mapping[str, str]
    algorithm: str
    framework: str
    entry_point: str
    source: Source | None
    channels: Mapping[str, Mapping[str, Any]]


def warm_start_check(
    *, project: Project, warm_start: Mapping[str, Any], child: Child, errors: list[FieldError]
) -> list[dict[str, Any]]:
    """The trials that are taken over, best first; what is wrong is added to `errors` under `warm_start.<field>`."""
    kind, names = warm_start.get("type"), warm_start.get("parents")
    unknown = sorted(set(warm_start) - {"type", "parents"})
    n_before = len(errors)
    if unknown:
        errors.append(
            FieldError(
                f"warm_start.{unknown[0][:80]}", _("is not a field of a warm start; use type and parents")
            )
        )
    if kind not in TYPES:
        message = _(
            "{value} is not accepted; use one of {accepted}",
            value=repr(str(kind)[:40]),
            accepted=", ".join(TYPES),
        )
        errors.append(FieldError("warm_start.type", message))
    if child.strategy == "Grid":
        message = _("the strategy Grid tries every point and learns from none; leave the warm start out")
        errors.append(FieldError("warm_start", message))
    parents = _parents(project, names, errors)
    for place, parent in parents:
        said = _refusals(str(kind), parent, child)
        errors += [FieldError(f"warm_start.parents.{place}", reason) for reason in said]
    if len(errors) > n_before:
        return []
    taken = [row for _place, parent in parents for row in _taken(parent, child, kind=str(kind))]
    if not taken:
        message = _(
            "no trial of {names} has a value and lies within the ranges, so that there is nothing to take over",
            names=", ".join(parent.name for _place, parent in parents),
        )
        errors.append(FieldError("warm_start.parents", message))
    sign = 1.0 if child.objective_type == "Minimize" else -1.0
    return sorted(taken, key=lambda row: sign * row["value"])[:KNOWN_MAX]


def _parents(project: Project, names: Any, errors: list[FieldError]) -> list[tuple[int, TuningJob]]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        errors.append(FieldError("warm_start.parents", _("must be the names of tuning jobs")))
        return []
    if not 1 <= len(names) <= PARENTS_MAX:
        message = _("has {n} names; use 1 to {limit}", n=len(names), limit=PARENTS_MAX)
        errors.append(FieldError("warm_start.parents", message))
        return []
    if len(set(names)) < len(names):
        errors.append(FieldError("warm_start.parents", _("names a tuning job more than once")))
        return []
    found = {job.name: job for job in TuningJob.objects.filter(project=project, name__in=names)}
    parents = []
    for place, name in enumerate(names):
        parent = found.get(name)
        if parent is None:
            message = _(
                "there is no tuning job {name} in project {project}",
                name=repr(name[:63]),
                project=project.name,
            )
            errors.append(FieldError(f"warm_start.parents.{place}", message))
        elif not parent.ended:
            message = _(
                "tuning job {name} is {status}; use one that has ended",
                name=repr(name),
                status=str(parent.status),
            )
            errors.append(FieldError(f"warm_start.parents.{place}", message))
        else:
            parents.append((place, parent))
    return parents


def _refusals(kind: str, parent: TuningJob, child: Child) -> Iterator[str]:
    if (parent.objective_metric, parent.objective_type) != (child.objective_metric, child.objective_type):
        yield _(
            "tuning job {name} has another objective: {type} {metric}; it must be {own_type} {own_metric}",
            name=repr(parent.name),
            type=parent.objective_type,
            metric=parent.objective_metric,
            own_type=child.objective_type,
            own_metric=child.objective_metric,
        )
    yield from _hyperparameter_refusals(parent, child)
    if kind == IDENTICAL:
        yield from _identity_refusals(parent, child)


def _hyperparameter_refusals(parent: TuningJob, child: Child) -> Iterator[str]:
    theirs, ours = {found["name"]: found["type"] for found in parent.ranges}, _types(child.ranges)
    missing = sorted(
        (theirs.keys() | parent.static_hyperparameters.keys()) ^ (ours.keys() | child.static.keys())
    )
    if missing:
        yield _(
            "tuning job {name} has other hyperparameters: {names} is in one of the two only",
            name=repr(parent.name),
            names=", ".join(missing[:10]),
        )
    others = sorted(name for name in theirs.keys() & ours.keys() if theirs[name] != ours[name])
    if others:
        yield _(
            "{hyperparameter} is {type} in tuning job {name}, and {own} here",
            hyperparameter=others[0],
            type=theirs[others[0]],
            name=repr(parent.name),
            own=ours[others[0]],
        )
    n_changes = len(theirs.keys() ^ ours.keys())
    if not missing and n_changes > CHANGES_MAX:
        yield _(
            "{n} hyperparameters are static in one of the two and tuned in the other; at most {limit} may be",
            n=n_changes,
            limit=CHANGES_MAX,
        )


def _identity_refusals(parent: TuningJob, child: Child) -> Iterator[str]:
    theirs = (parent.algorithm, parent.framework, parent.entry_point, _digest(parent.source))
    if theirs != (child.algorithm, child.framework, child.entry_point, _digest(child.source)):
        yield _(
            "tuning job {name} trained with another algorithm or script; use {type} for that",
            name=repr(parent.name),
            type=TRANSFER,
        )
    if _data(parent.channels) != _data(child.channels):
        yield _(
            "tuning job {name} trained with other data; use {type} for that",
            name=repr(parent.name),
            type=TRANSFER,
        )


def _types(ranges: Sequence[Range]) -> dict[str, str]:
    return {found.name: str(found.to_json()["type"]) for found in ranges}


def _digest(source: Source | None) -> str:
    return source.sha256 if source is not None else ""


def _data(channels: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(given.get("dataset") or given.get("uri")) for name, given in channels.items()}


def _taken(parent: TuningJob, child: Child, *, kind: str) -> Iterator[dict[str, Any]]:
    """Its trials with a value whose parameters are possible here: within our ranges and, where the value is believed,
    equal to what is static here.
    """
    tuned_there = {found.name for found in ranges_from_json(parent.ranges)}
    trials = TuningTrial.objects.filter(tuning_job=parent, value__isnull=False)
    for parameters, value, job_name in trials.values_list("parameters", "value", "job_name"):
        known = {**parent.static_hyperparameters, **parameters}
        inside = all(found.internal(str(known.get(found.name, ""))) is not None for found in child.ranges)
        alike = all(known[name] == child.static.get(name, known[name]) for name in tuned_there)
        if inside and (alike or kind == TRANSFER):
            yield {
                "parameters": {found.name: str(known[found.name]) for found in child.ranges},
                "value": value,
                "tuning_job": parent.name,
                "training_job": job_name,
            }
