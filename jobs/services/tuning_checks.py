"""What a request for a tuning job can be wrong about, all of it at once, before anything is stored or started."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from jobs.algorithms.base import AlgorithmSpec, DataFacts
from jobs.algorithms.registry import SCRIPT, algorithm_get
from jobs.instance_types import InstanceType, instance_type_get
from jobs.metric_regex import metric_definition_check
from jobs.models import Source, TuningJob, TuningStrategy
from jobs.services.channels import ResolvedChannel, channels_resolve
from jobs.services.request_checks import (
    environment_check,
    hyperparameters_as_text,
    tags_check,
)
from jobs.services.scripts import script_check
from jobs.services.tuning_hyperparameters import declared_of, hyperparameters_check
from jobs.services.tuning_request import TuningRequest
from jobs.services.tuning_search_checks import SEED_MAX, STATIC_MAX, SearchCheck
from jobs.services.tuning_warm_start import Child, warm_start_check
from jobs.tuning.range_checks import ranges_check
from jobs.tuning.ranges import Range
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Project
from mlplatform.core.names import name_check
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text as _

NAME_MAX: Final = 32
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A request that can be carried out. `channels` have their dataset versions pinned; `static` has Hyperband's
    resource too.
    """

    name: str
    request: TuningRequest
    ranges: list[Range]
    static: dict[str, str]
    max_jobs: int | None
    hyperband: dict[str, Any] | None
    completion: dict[str, Any]
    random_seed: int
    warm_trials: list[dict[str, Any]]
    algorithm: str
    source: Source | None
    channels: dict[str, dict[str, Any]]
    metric_definitions: list[dict[str, str]]
    instance_type: str
    environment: dict[str, str]
    tags: dict[str, str]


def tuning_check(*, actor: Actor, request: TuningRequest) -> Checked:
    """The request, ready to be stored.

    Raises:
        InvalidRequest: with every field that is wrong, a name that is taken among them.
        Conflict: nothing is wrong but that the name is taken.
    """
    return _TuningCheck(actor, request).checked()


def name_taken(project: Project, name: str) -> Conflict:
    message = _(
        "A tuning job named {name} already exists in project {project}", name=repr(name), project=project.name
    )
    return Conflict(message, errors=[FieldError("name", message)])


class _TuningCheck(SearchCheck):
    """Collects all that is wrong; each part is looked at whatever is wrong with the others."""

    def checked(self) -> Checked:
        asked, errors = self._asked, self._errors
        name = self._name()
        spec, source = self._algorithm()
        instance = self._collect(lambda: instance_type_get(asked.instance_type))
        definitions = self._collect(lambda: metric_definition_check(asked.metric_definitions)) or []
        self._choices()
        self._objective(spec, {found.name for found in definitions})
        resolved = self._channels(spec)
        given = self._static()
        static = self._with_resource(given)
        ranges = self._ranges(spec, static, resolved)
        max_jobs = self._max_jobs(ranges)
        hyperband = self._hyperband(spec, ranges, given)
        completion = self._completion()
        self._limits(max_jobs, completion)
        channels = {name: _pinned(channel) for name, channel in resolved.items()}
        warm_trials = self._warm_start(ranges, static, source, channels)
        variables = environment_check(asked.environment, errors)
        tags = tags_check(asked.tags, errors)
        self._refuse(name)
        assert spec is not None and isinstance(instance, InstanceType)
        return Checked(
            name=name,
            request=asked,
            ranges=ranges,
            static=static,
            max_jobs=max_jobs,
            hyperband=hyperband,
            completion=completion,
            random_seed=secrets.randbelow(SEED_MAX) if asked.random_seed is None else asked.random_seed,
            warm_trials=warm_trials,
            algorithm=spec.name,
            source=source,
            channels=channels,
            metric_definitions=[{"name": found.name, "regex": found.regex} for found in definitions],
            instance_type=instance.name,
            environment=variables,
            tags=tags,
        )

    def _refuse(self, name: str) -> None:
        known = {error.field for error in self._asked.wrong}
        errors = [*self._asked.wrong, *(error for error in self._errors if error.field not in known)]
        taken = TuningJob.objects.filter(project=self._project, name=name).exists()
        if errors:
            said = name_taken(self._project, name).errors if taken else ()
            raise InvalidRequest.for_fields([*said, *errors])
        if taken:
            raise name_taken(self._project, name)

    # ---- what is trained

    def _name(self) -> str:
        chosen = self._asked.name
        if not chosen:
            return f"tuning-{clock.now():%y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if len(chosen) > NAME_MAX:
            shorter = self._shorter(chosen)
            message = _(
                "{value} has {n} characters; use at most {limit}, for instance {shorter}",
                value=repr(chosen[:80]),
                n=len(chosen),
                limit=NAME_MAX,
                shorter=repr(shorter),
            )
            self._errors.append(FieldError("name", message))
        else:
            self._collect(lambda: name_check(chosen, max_length=NAME_MAX))
        return chosen

    def _shorter(self, chosen: str) -> str:
        """The name's beginning, with a tail where that is taken."""
        letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in chosen)
        stem = letters.strip("-")[:NAME_MAX].rstrip("-") or "tuning"
        if not TuningJob.objects.filter(project=self._project, name=stem).exists():
            return stem
        return f"{stem[: NAME_MAX - 5].rstrip('-')}-{secrets.token_hex(2)}"

    def _algorithm(self) -> tuple[AlgorithmSpec | None, Source | None]:
        asked = self._asked
        if asked.script is None and asked.algorithm == SCRIPT:
            self._errors.append(FieldError("script", _("is required where the algorithm is script")))
            return None, None
        if asked.script is not None:
            if asked.algorithm not in ("", SCRIPT):
                message = _(
                    "{value} is not accepted beside a script; leave it out, or use script",
                    value=repr(asked.algorithm[:40]),
                )
                self._errors.append(FieldError("algorithm", message))
            script = asked.script
            return algorithm_get(SCRIPT), self._collect(
                lambda: script_check(actor=self._actor, script=script)
            )
        try:
            return algorithm_get(asked.algorithm), None
        except NotFound as error:
            self._errors.append(FieldError("algorithm", error.message))
            return None, None

    def _channels(self, spec: AlgorithmSpec | None) -> dict[str, ResolvedChannel]:
        if spec is None:
            return {}
        resolved, wrong = channels_resolve(project=self._project, spec=spec, requests=self._asked.channels)
        self._errors += wrong
        return resolved

    def _static(self) -> dict[str, str]:
        given, wrong = self._asked.static_hyperparameters, list[FieldError]()
        if len(given) > STATIC_MAX:
            message = _("has {n} hyperparameters; use at most {limit}", n=len(given), limit=STATIC_MAX)
            self._errors.append(FieldError("static_hyperparameters", message))
        texts = hyperparameters_as_text(given, wrong)
        self._errors += [FieldError(f"static_{error.field}", error.message) for error in wrong]
        return texts

    def _ranges(
        self, spec: AlgorithmSpec | None, static: Mapping[str, str], resolved: Mapping[str, ResolvedChannel]
    ) -> list[Range]:
        asked, errors = self._asked, self._errors
        n_before = len(errors)
        names = {str(found.get("name")): "" for found in asked.ranges}
        declared = {} if spec is None else declared_of(spec, {**names, **static})
        grid = asked.strategy == TuningStrategy.GRID
        ranges = ranges_check(asked.ranges, grid=grid, declared=declared, errors=errors)
        if spec is None or len(errors) > n_before:
            return ranges
        hyperparameters_check(
            spec=spec,
            facts=resolved["train"].facts if "train" in resolved else DataFacts(),
            static=static,
            ranges=ranges,
            places={str(found["name"]): place for place, found in enumerate(asked.ranges)},
            errors=errors,
        )
        return ranges

    def _with_resource(self, static: Mapping[str, str]) -> dict[str, str]:
        """What every job gets, among it the hyperparameter that is Hyperband's resource."""
        asked = (self._asked.hyperband or {}) if self._asked.strategy == TuningStrategy.HYPERBAND else {}
        resource, high = asked.get("resource"), asked.get("max_resource")
        return {**static, str(resource): str(high)} if resource and high else dict(static)

    def _warm_start(
        self,
        ranges: list[Range],
        static: Mapping[str, str],
        source: Source | None,
        channels: Mapping[str, Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        asked = self._asked
        if not asked.warm_start:
            return []
        script = asked.script
        child = Child(
            objective_metric=asked.objective_metric,
            objective_type=asked.objective_type,
            strategy=asked.strategy,
            ranges=ranges,
            static=static,
            algorithm=SCRIPT if script else asked.algorithm,
            framework=script.framework if script else "",
            entry_point=script.entry_point if script else "",
            source=source,
            channels=channels,
        )
        return warm_start_check(
            project=self._project, warm_start=asked.warm_start, child=child, errors=self._errors
        )


def _pinned(channel: ResolvedChannel) -> dict[str, Any]:
    """As a training job's request has it, with the version that there is now; its uid tells it from one that is given
    the same name later.
    """
    version = channel.version
    place = (
        {"uri": channel.uri}
        if version is None
        else {"dataset": channel.reference, "version_uid": version.uid}
    )
    return {**place, "content_type": channel.content_type, "input_mode": channel.input_mode}
