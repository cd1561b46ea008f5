"""Studies against Optuna itself, and that what is told again makes the same study."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.pruners import HyperbandPruner
from optuna.samplers import GridSampler, RandomSampler, TPESampler

from jobs.tuning.importance import importance_of
from jobs.tuning.ranges import ranges_from_json
from jobs.tuning.space import distributions_of
from jobs.tuning.studies import OutOfStep, StudySpec, TrialTold, TuningStudy

RANGES = [
    {"name": "eta", "type": "Continuous", "min": 0.01, "max": 0.3, "scaling": "Logarithmic"},
    {"name": "depth", "type": "Integer", "min": 3, "max": 10, "scaling": "Linear"},
    {"name": "momentum", "type": "Continuous", "min": 0.0, "max": 0.999, "scaling": "ReverseLogarithmic"},
    {"name": "kind", "type": "Categorical", "values": ["a", "b", "c"]},
]


def spec(strategy: str, **changes: Any) -> StudySpec:
    made = StudySpec("uid", strategy, "Minimize", ranges_from_json(RANGES), 7)
    return replace(made, **changes)


def objective(internal: dict[str, Any]) -> float:
    return (math.log(internal["eta"]) + 3) ** 2 + (internal["depth"] - 6) ** 2 + "abc".index(internal["kind"])


def played(study: TuningStudy, n: int, *, told: list[TrialTold] | None = None) -> list[TrialTold]:
    """Trials up to `n`, each told before the next is asked for."""
    trials = list(told or [])
    study.tell(trials)
    for number in range(len(trials) + 1, n + 1):
        internal = study.suggest(number).internal
        trials.append(TrialTold(number, "complete", internal, objective(internal)))
        study.tell(trials[-1:])
    return trials


def seed_of(number: int) -> int:
    return int(np.random.SeedSequence([7, number]).generate_state(1)[0])


def optunas(sampler: Callable[[int], Any], n: int) -> list[dict[str, Any]]:
    study = optuna.create_study(direction="minimize", sampler=sampler(0))
    distributions = distributions_of(ranges_from_json(RANGES))
    params = []
    for number in range(1, n + 1):
        study.sampler = sampler(number)
        trial = study.ask(distributions)
        study.tell(trial, objective(trial.params))
        params.append(trial.params)
    return params


def test_bayesian_suggests_what_optunas_tpe_suggests() -> None:
    ours = [trial.internal for trial in played(TuningStudy(spec("Bayesian")), 25)]
    assert ours == optunas(lambda number: TPESampler(seed=seed_of(number)), 25)


def test_random_draws_what_optuna_draws_and_needs_no_history() -> None:
    ours = [trial.internal for trial in played(TuningStudy(spec("Random")), 10)]
    assert ours == optunas(lambda number: RandomSampler(seed=seed_of(number)), 10)
    assert TuningStudy(spec("Random")).suggest(9).internal == ours[8]


def test_grid_tries_every_point_once_in_optunas_order() -> None:
    ranges = [
        {"name": "eta", "type": "Continuous", "min": 0.1, "max": 0.3, "scaling": "Linear", "step": 0.1},
        {"name": "depth", "type": "Integer", "min": 3, "max": 4, "scaling": "Linear"},
        {"name": "kind", "type": "Categorical", "values": ["a", "b"]},
    ]
    study = TuningStudy(spec("Grid", ranges=ranges_from_json(ranges)))
    ours = played(study, 12)
    assert len({tuple(trial.internal.values()) for trial in ours}) == 12
    grid = {"eta": [0.1, 0.2, 0.3], "depth": [3, 4], "kind": ["a", "b"]}
    order = GridSampler(grid, seed=7)._all_grids
    assert [(t.internal["depth"], t.internal["eta"], t.internal["kind"]) for t in ours] == order
    again = TuningStudy(spec("Grid", ranges=ranges_from_json(ranges)))
    assert played(again, 12, told=ours[:5]) == ours


@pytest.mark.parametrize("strategy", ["Bayesian", "Random", "Hyperband"])
def test_a_study_told_again_in_another_process_goes_on_as_if_nothing_had_been(strategy: str) -> None:
    band = {"min_resource": 1, "max_resource": 9} if strategy == "Hyperband" else None
    wanted = spec(strategy, hyperband=band)
    once = played(TuningStudy(wanted), 20)
    assert played(TuningStudy(wanted), 20, told=once[:13]) == once


def test_trials_under_way_are_told_too_so_that_none_is_suggested_twice() -> None:
    whole = TuningStudy(spec("Bayesian"))
    trials = played(whole, 14)
    first, second = whole.suggest(15), whole.suggest(16)
    assert first.internal != second.internal
    again = TuningStudy(spec("Bayesian"))
    again.tell([*trials, TrialTold(15, "running", first.internal)])
    assert again.suggest(16) == second


def test_a_gap_in_what_is_told_is_noticed() -> None:
    study = TuningStudy(spec("Bayesian"))
    with pytest.raises(OutOfStep):
        study.suggest(2)
    with pytest.raises(OutOfStep):
        study.tell([TrialTold(3, "running", {})])


def test_other_seeds_draw_otherwise() -> None:
    assert TuningStudy(spec("Random")).suggest(1) != TuningStudy(spec("Random", seed=8)).suggest(1)


def test_what_is_known_from_elsewhere_is_learned_from_at_once() -> None:
    parents = played(TuningStudy(spec("Random")), 30)
    texts = [
        {found.name: found.text(trial.internal[found.name]) for found in ranges_from_json(RANGES)}
        for trial in parents
    ]
    known = [{"parameters": p, "value": t.value} for p, t in zip(texts, parents, strict=True)]
    warm = played(TuningStudy(spec("Bayesian", known=known)), 10)
    cold = played(TuningStudy(spec("Bayesian")), 10)
    assert np.mean([t.value for t in warm]) < np.mean([t.value for t in cold])


def test_the_first_points_are_tried_before_any_is_suggested() -> None:
    point = {"eta": "0.05", "depth": "6", "momentum": "0.9", "kind": "b"}
    study = TuningStudy(spec("Bayesian", first=[point]))
    assert study.suggest(1).parameters == point
    assert study.suggest(2).parameters != point


def test_hyperband_stops_at_the_rungs_where_optuna_does() -> None:
    band = {"min_resource": 1, "max_resource": 9, "reduction_factor": 3}
    wanted = spec("Hyperband", hyperband=band)
    study = TuningStudy(wanted)
    bare = optuna.create_study(
        study_name="uid", sampler=RandomSampler(seed=0), pruner=HyperbandPruner(1, 9, 3)
    )
    stopped: dict[int, int] = {}
    told: list[TrialTold] = []
    for number in range(1, 13):
        suggestion = study.suggest(number)
        bare.sampler = RandomSampler(seed=seed_of(number))
        trial = bare.ask(distributions_of(ranges_from_json(RANGES)))
        assert trial.params == suggestion.internal
        cost = objective(suggestion.internal)
        steps: list[list[float | None]] = []
        for step in range(9):
            steps.append([step, cost + 1 / (step + 1)])
            trial.report(cost + 1 / (step + 1), step + 1)
            running = TrialTold(number, "running", suggestion.internal, None, list(steps))
            ours, theirs = study.stops([running]) == [number], trial.should_prune()
            assert ours == theirs, f"trial {number} at step {step}"
            if ours:
                stopped[number] = step
                break
        state = "pruned" if number in stopped else "complete"
        told.append(TrialTold(number, state, suggestion.internal, steps[-1][1], steps))
        study.tell(told[-1:])
        bare.tell(trial, None if number in stopped else steps[-1][1], state=_STATE[state])
    assert stopped and len(stopped) < 12
    again = TuningStudy(wanted)
    again.tell(told)
    assert again.suggest(13) == study.suggest(13)
    worst = TrialTold(13, "running", {}, None, [[step, 1e9] for step in range(9)])
    assert again.stops([worst]) == study.stops([worst]) == [13]


_STATE = {"pruned": optuna.trial.TrialState.PRUNED, "complete": optuna.trial.TrialState.COMPLETE}


def test_importance_finds_what_matters_and_says_why_it_cannot() -> None:
    trials = [
        {"parameters": {"eta": "0.1", "depth": str(3 + n % 8), "momentum": "0.5", "kind": "abc"[n % 3]}}
        | {"value": float(n % 8)}
        for n in range(40)
    ]
    ranges = ranges_from_json(RANGES)
    values, evaluator, reason = importance_of(ranges=ranges, direction="Minimize", trials=trials, seed=1)
    assert (evaluator, reason, next(iter(values))) == ("fANOVA", "", "depth")
    assert sum(values.values()) == pytest.approx(1.0) and set(values) == {found["name"] for found in RANGES}
    few = importance_of(ranges=ranges, direction="Minimize", trials=trials[:3], seed=1)
    assert few[2] == "trials with a value: 3; importance needs 4 or more"
    alike = [trial | {"value": 1.0} for trial in trials]
    same = importance_of(ranges=ranges, direction="Minimize", trials=alike, seed=1)
    assert "all 40 trials have the same value" in same[2]
