"""What a request for a tuning job can be wrong about in how it searches: strategy, limits, ends. Of `tuning_checks`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from django.conf import settings

from jobs.algorithms.base import AlgorithmSpec
from jobs.models import TuningStrategy
from jobs.services.request_checks import (
    instance_count_check,
    runtime_check,
    whole_number_check,
)
from jobs.services.tuning_hyperparameters import declared_of
from jobs.services.tuning_request import TuningRequest
from jobs.tuning.ranges import Range, grid_size
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text as _

JOBS_MAX: Final = 750
JOBS_MAX_RANDOM: Final = 10_000
STATIC_MAX: Final = 100
RUNTIME_MAX_S: Final = 30 * 24 * 3600
PARALLEL_LIMIT: Final = 100
SEED_MAX: Final = 2**31 - 1
RESOURCE_MAX: Final = 100_000
T = TypeVar("T")


def tuning_jobs_limit(strategy: str) -> int:
    """How many trials a tuning job of the strategy may have."""
    return JOBS_MAX_RANDOM if strategy == TuningStrategy.RANDOM else JOBS_MAX


def tuning_parallel_limit() -> int:
    """How many trials of a tuning job may run at a time."""
    return min(int(settings.MLPLATFORM_TUNING_PARALLEL_MAX), PARALLEL_LIMIT)


class SearchCheck:
    """Collects what is wrong into `_errors`; each part is looked at whatever is wrong with the others."""

    def __init__(self, actor: Actor, request: TuningRequest) -> None:
        self._actor = actor
        self._project = actor.project
        self._asked = request
        self._errors: list[FieldError] = []

    def _choices(self) -> None:
        asked = self._asked
        self._one_of("strategy", asked.strategy, TuningStrategy.values)
        self._one_of("objective_type", asked.objective_type, ("Minimize", "Maximize"))
        self._one_of("early_stopping", asked.early_stopping, ("Off", "Auto"))
        if asked.strategy == TuningStrategy.HYPERBAND and asked.early_stopping == "Auto":
            message = _("Hyperband stops trials by itself; use Off with it")
            self._errors.append(FieldError("early_stopping", message))

    def _objective(self, spec: AlgorithmSpec | None, defined: set[str]) -> None:
        metric = self._asked.objective_metric
        if not metric:
            self._errors.append(FieldError("objective_metric", _("is missing; give the name of a metric")))
            return
        if spec is None:
            return
        known = sorted({found.name for found in spec.metrics} | defined)
        if metric in known or any(error.field.startswith("metric_definitions") for error in self._errors):
            return
        message = (
            _(
                "nobody declares {metric}; use one of {known}, or define it with a regular expression",
                metric=repr(metric[:80]),
                known=", ".join(known),
            )
            if known
            else _("nobody declares {metric}; define it with a regular expression", metric=repr(metric[:80]))
        )
        self._errors.append(FieldError("objective_metric", message))

    def _max_jobs(self, ranges: list[Range]) -> int | None:
        asked, limit = self._asked, tuning_jobs_limit(self._asked.strategy)
        size = grid_size(ranges) if asked.strategy == TuningStrategy.GRID and ranges else None
        if size is not None and size > limit:
            message = _(
                "the grid has {n} points; at most {limit} can be tried: use fewer values, or larger steps",
                n=f"{size:,}",
                limit=limit,
            )
            self._errors.append(FieldError("ranges", message))
            return None
        if asked.max_jobs is None:
            return size
        whole_number_check("max_jobs", asked.max_jobs, 1, limit, self._errors)
        if size is not None and isinstance(asked.max_jobs, int) and asked.max_jobs > size:
            message = _(
                "{n} is more than the {size} points of the grid; leave it out to try all of them",
                n=asked.max_jobs,
                size=size,
            )
            self._errors.append(FieldError("max_jobs", message))
        return asked.max_jobs

    def _limits(self, max_jobs: int | None, completion: Mapping[str, Any]) -> None:
        asked, errors = self._asked, self._errors
        whole_number_check("max_parallel_jobs", asked.max_parallel_jobs, 1, tuning_parallel_limit(), errors)
        right = not _has(errors, "max_jobs", "max_parallel_jobs")
        if right and max_jobs is not None and max_jobs < asked.max_parallel_jobs:
            message = _(
                "{parallel} is more than max_jobs, {jobs}; use at most as many",
                parallel=asked.max_parallel_jobs,
                jobs=max_jobs,
            )
            errors.append(FieldError("max_parallel_jobs", message))
        if asked.max_runtime_s is not None:
            whole_number_check("max_runtime_s", asked.max_runtime_s, 1, RUNTIME_MAX_S, errors)
        if max_jobs is None and asked.max_runtime_s is None and not completion and not _has(errors, "ranges"):
            message = _(
                "is missing, and so is any other end: give it, max_runtime_s or a completion criterion"
            )
            errors.append(FieldError("max_jobs", message))
        if asked.random_seed is not None:
            whole_number_check("random_seed", asked.random_seed, 0, SEED_MAX, errors)
        wrong: list[FieldError] = []
        runtime_check(asked.job_max_runtime_s, wrong)
        errors += [replace(error, field="job_max_runtime_s") for error in wrong]
        instance_count_check(asked.instance_count, errors)

    def _hyperband(
        self, spec: AlgorithmSpec | None, ranges: list[Range], static: Mapping[str, str]
    ) -> dict[str, Any] | None:
        asked, errors = self._asked, self._errors
        given = asked.hyperband
        if asked.strategy != TuningStrategy.HYPERBAND:
            if given:
                errors.append(
                    FieldError("hyperband", _("goes with the strategy Hyperband only; leave it out"))
                )
            return None
        if not given:
            message = _("is required by the strategy Hyperband; give min_resource and max_resource")
            errors.append(FieldError("hyperband", message))
            return None
        accepted = ("min_resource", "max_resource", "reduction_factor", "resource")
        n_before = len(errors)
        for field in given:
            if field not in accepted:
                message = _("is not a field of Hyperband; use {fields}", fields=", ".join(accepted))
                errors.append(FieldError(f"hyperband.{field[:80]}", message))
        low, high = given.get("min_resource"), given.get("max_resource")
        whole_number_check("hyperband.min_resource", low, 1, RESOURCE_MAX, errors)
        whole_number_check("hyperband.max_resource", high, 1, RESOURCE_MAX, errors)
        factor = given.get("reduction_factor")
        factor = 3 if factor is None else factor
        whole_number_check("hyperband.reduction_factor", factor, 2, 10, errors)
        if len(errors) == n_before and low >= high:  # type: ignore[operator]
            message = _("{min} is not below max_resource, {max}", min=low, max=high)
            errors.append(FieldError("hyperband.min_resource", message))
        resource = str(given.get("resource") or "")
        self._resource(spec, resource, ranges, static)
        return {"min_resource": low, "max_resource": high, "reduction_factor": factor, "resource": resource}

    def _resource(
        self, spec: AlgorithmSpec | None, resource: str, ranges: list[Range], static: Mapping[str, str]
    ) -> None:
        """The hyperparameter, if any, that says how many steps a job makes: every job gets max_resource for it."""
        if not resource:
            return
        if resource in static or resource in {found.name for found in ranges}:
            message = _(
                "{name} is set to max_resource; leave it out of the other hyperparameters", name=resource
            )
            self._errors.append(FieldError("hyperband.resource", message))
        elif spec is not None and not spec.is_open and resource not in declared_of(spec, static):
            message = _(
                "{algorithm} has no hyperparameter {name}", algorithm=spec.name, name=repr(resource[:80])
            )
            self._errors.append(FieldError("hyperband.resource", message))

    def _completion(self) -> dict[str, Any]:
        given = {name: value for name, value in self._asked.completion.items() if value not in (None, "")}
        accepted = ("target_value", "max_jobs_not_improving", "on_convergence")
        for field in given:
            if field not in accepted:
                message = _("is not a completion criterion; use {fields}", fields=", ".join(accepted))
                self._errors.append(FieldError(f"completion.{field[:80]}", message))
        target = given.get("target_value")
        if target is not None and not _is_finite(target):
            message = _("{value} is not a number", value=repr(str(target)[:40]))
            self._errors.append(FieldError("completion.target_value", message))
        if "max_jobs_not_improving" in given:
            limit = tuning_jobs_limit(self._asked.strategy)
            whole_number_check(
                "completion.max_jobs_not_improving", given["max_jobs_not_improving"], 1, limit, self._errors
            )
        if not isinstance(given.get("on_convergence", False), bool):
            self._errors.append(FieldError("completion.on_convergence", _("is neither true nor false")))
        return {name: value for name, value in given.items() if value is not False}

    def _one_of(self, field: str, value: str, accepted: Any) -> None:
        if value not in accepted:
            message = _(
                "{value} is not accepted; use one of {accepted}",
                value=repr(str(value)[:40]),
                accepted=", ".join(accepted),
            )
            self._errors.append(FieldError(field, message))

    def _collect(self, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except InvalidRequest as error:
            self._errors += error.errors
            return None


def _has(errors: list[FieldError], *fields: str) -> bool:
    return any(error.field.partition(".")[0] in fields for error in errors)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
