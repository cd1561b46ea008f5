"""One tuning job as a study of Optuna's, kept in memory: told of trials, asked for suggestions and for what to stop.

It remembers nothing that the rows of the tuning job have not: what it is told again, in another process, makes the same
study. Each suggestion has a random seed of its own, made of the tuning job's and the trial's number, so that who asks,
and how often the process was started anew, changes nothing. Imported in the process `python -m jobs.tuning` only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from jobs.tuning.ranges import Range, ranges_from_json
from jobs.tuning.space import distributions_of, grid_of, internal_of

N_STARTUP_TRIALS: Final = 10
"""So many trials are drawn at random before the Bayesian strategy begins to learn from them."""
_STATES: Final = {
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


class OutOfStep(Exception):
    """A trial before the one asked for was never told: whoever asks has to tell everything again."""


def direction_of(objective_type: str) -> StudyDirection:
    return StudyDirection.MINIMIZE if objective_type == "Minimize" else StudyDirection.MAXIMIZE


@dataclass(frozen=True)
class StudySpec:
    """What a tuning job asks of its sampler.

    Attributes:
        name: Never another tuning job's; it decides which bracket of Hyperband a trial belongs to.
        known: {"parameters", "value"} of trials elsewhere whose values are the same as here.
        first: Parameters to be tried before any is suggested.
    """

    name: str
    strategy: str
    direction: str
    ranges: tuple[Range, ...]
    seed: int
    hyperband: Mapping[str, Any] | None = None
    known: Sequence[Mapping[str, Any]] = ()
    first: Sequence[Mapping[str, str]] = ()

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> StudySpec:
        return cls(**{**given, "ranges": ranges_from_json(given["ranges"])})


@dataclass(frozen=True)
class TrialTold:
    """A trial of the tuning job as its row has it. `state` is running, complete, pruned or failed; `steps` are
    [[step, value], …] from step 0.
    """

    number: int
    state: str
    internal: Mapping[str, Any]
    value: float | None = None
    steps: Sequence[Sequence[float | None]] = field(default=())


@dataclass(frozen=True)
class Suggestion:
    """`parameters` as a job gets them, `internal` as Optuna chose them."""

    parameters: dict[str, str]
    internal: dict[str, Any]


class TuningStudy:
    """A study that goes on with trial numbers from 1, behind those that are known from elsewhere."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._distributions = distributions_of(spec.ranges)
        self._storage = InMemoryStorage()
        self._study: Study = optuna.create_study(
            storage=self._storage,
            study_name=spec.name,
            direction=direction_of(spec.direction),
            sampler=self._sampler(0),
            pruner=_pruner(spec),
        )
        self._n_known = 0
        for known in spec.known:
            internal = internal_of(spec.ranges, dict(known["parameters"]))
            if internal is not None:
                self._add(internal, "complete", float(known["value"]))
                self._n_known += 1
        self._states: dict[int, str] = {}
        self._resources: dict[int, int] = {}

    def tell(self, trials: Sequence[TrialTold]) -> None:
        """Trials that are new or have moved on, by their numbers. Raises OutOfStep where one between is missing."""
        for trial in sorted(trials, key=lambda told: told.number):
            if trial.number not in self._states:
                self._next_number_check(trial.number)
                self._add(dict(trial.internal), "running")
                self._states[trial.number] = "running"
            if self._states[trial.number] == "running":
                self._report(trial)
                if trial.state != "running":
                    self._end(trial)

    def suggest(self, number: int) -> Suggestion:
        """What trial `number` is to try; the study has it as running from now on. Raises OutOfStep."""
        self._next_number_check(number)
        internal = self._first(number)
        if internal is None:
            if not isinstance(self._study.sampler, GridSampler):
                self._study.sampler = self._sampler(number)
            internal = dict(self._study.ask(self._distributions).params)
        else:
            self._add(internal, "running")
        self._states[number] = "running"
        texts = {found.name: found.text(internal[found.name]) for found in self._spec.ranges}
        return Suggestion(texts, internal)

    def stops(self, trials: Sequence[TrialTold]) -> list[int]:
        """The numbers of those running trials that Hyperband stops at the rung they have come to."""
        return [trial.number for trial in trials if self._report(trial)]

    def _first(self, number: int) -> dict[str, Any] | None:
        if number > len(self._spec.first):
            return None
        return internal_of(self._spec.ranges, dict(self._spec.first[number - 1]))

    def _next_number_check(self, number: int) -> None:
        # Random draws by the number alone and is told of nothing.
        if number != len(self._states) + 1 and self._spec.strategy != "Random":
            raise OutOfStep(f"trial {number} comes after {len(self._states)}")

    def _add(self, internal: Mapping[str, Any], state: str, value: float | None = None) -> None:
        trial = create_trial(
            state=_STATES[state], params=dict(internal), distributions=self._distributions, value=value
        )
        self._study.add_trial(trial)

    def _report(self, trial: TrialTold) -> bool:
        """Tells the steps that are new, one by one; whether Hyperband would stop the trial at one of them."""
        trial_id = self._trial_id(trial.number)
        for place, value in trial.steps:
            # A resource is how many steps were made; Optuna's steps are resources.
            resource = int(place or 0) + 1
            if resource <= self._resources.get(trial.number, 0):
                continue
            self._resources[trial.number] = resource
            known = math.nan if value is None else float(value)
            self._storage.set_trial_intermediate_value(trial_id, resource, known)
            if self._study.pruner.prune(self._study, self._storage.get_trial(trial_id)):
                return True
        return False

    def _end(self, trial: TrialTold) -> None:
        values = None if trial.value is None else [trial.value]
        state = _STATES[trial.state]
        if state == TrialState.PRUNED and not self._frozen(trial.number).intermediate_values:
            # It was ended early by something else than its steps, which nobody has then.
            state = TrialState.COMPLETE
        self._storage.set_trial_state_values(self._trial_id(trial.number), state, values)
        self._states[trial.number] = trial.state

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(
            self._study._study_id, self._n_known + number - 1
        )

    def _frozen(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _sampler(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._spec.seed, number]).generate_state(1)[0])
        match self._spec.strategy:
            case "Bayesian":
                return _KnownSpaceTPE(self._distributions, n_startup_trials=N_STARTUP_TRIALS, seed=seed)
            case "Grid":
                return GridSampler(grid_of(self._spec.ranges), seed=self._spec.seed)
            case "Random" | "Hyperband":
                return RandomSampler(seed=seed)
        raise ValueError(f"there is no strategy {self._spec.strategy!r}")


class _KnownSpaceTPE(TPESampler):
    """Optuna's TPE where every trial has the same space, which it then need not gather from all of them: half of the
    time of a suggestion at 1,000 trials.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._known = {name: distributions[name] for name in sorted(distributions)}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: found for name, found in self._known.items() if not found.single()}


def _pruner(spec: StudySpec) -> BasePruner:
    if spec.strategy != "Hyperband" or spec.hyperband is None:
        return NopPruner()
    return HyperbandPruner(
        min_resource=int(spec.hyperband["min_resource"]),
        max_resource=int(spec.hyperband["max_resource"]),
        reduction_factor=int(spec.hyperband.get("reduction_factor") or 3),
    )
