"""Runs to be compared, of either kind: what is read of them, in how many queries, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import pytest

from endpoints.models import Evaluation
from endpoints.selectors.comparison import (
    RunKind,
    comparison_candidates,
    comparison_curve_metrics,
    comparison_curves,
    comparison_runs,
)
from jobs.comparison.runs import N_MAX, Run
from jobs.comparison.selection import RunsNotFound, Selection
from jobs.models import MetricChunk, TrainingJob
from jobs.selectors.comparison import CURVE_POINTS_MAX
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.people.access import Actor
from tests.compared import curve_made, evaluations_made, jobs_made
from tests.jobs.training.cast import Cast, cast_make, job_make

JOBS, EVALUATIONS = RunKind.TRAINING_JOBS, RunKind.EVALUATIONS
MAKE: dict[RunKind, Callable[..., Any]] = {JOBS: jobs_made, EVALUATIONS: evaluations_made}
LARGE_WITHIN_S = 3.0
"""The budget of a page of 500 runs; what is timed here is a small part of it."""


@pytest.fixture
def cast(db: None, settings: Any, tmp_path: Any) -> Cast:
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    return cast_make()


def made(actor: Actor, kind: RunKind, n: int, prefix: str = "run", **more: Any) -> list[Any]:
    return list(MAKE[kind](actor.project, actor.user, n, prefix=prefix, **more))


def named(*names: str) -> Selection:
    return Selection(names=names)


def names_of(runs: list[Run]) -> list[str]:
    return [run.name for run in runs]


@pytest.mark.parametrize("kind", RunKind)
def test_runs_come_in_the_order_in_which_they_are_named_once_each(cast: Cast, kind: RunKind) -> None:
    made(cast.alice, kind, 4)
    found = comparison_runs(actor=cast.bob, kind=kind, selection=named("run-3", "run-1", "run-3", "run-4"))
    assert names_of(found) == ["run-3", "run-1", "run-4"]


@pytest.mark.parametrize("kind", RunKind)
def test_what_matches_comes_newest_first_after_what_is_named_but_for_what_is_left_out(
    cast: Cast, kind: RunKind
) -> None:
    made(cast.alice, kind, 4)
    made(cast.alice, kind, 1, "other")
    selection = Selection(names=("run-2",), search="run", without=frozenset({"run-3"}))
    assert names_of(comparison_runs(actor=cast.bob, kind=kind, selection=selection)) == [
        "run-2",
        "run-4",
        "run-1",
    ]
    everything = replace(selection, search="", everything=True)
    assert len(comparison_runs(actor=cast.bob, kind=kind, selection=everything)) == 4


@pytest.mark.parametrize("kind", RunKind)
@pytest.mark.parametrize("name", ["ghost", "theirs-1", "x" * 300, "a\0b"])
def test_an_unknown_name_and_a_foreign_one_are_named_alike(cast: Cast, kind: RunKind, name: str) -> None:
    made(cast.alice, kind, 1)
    made(cast.charlie, kind, 1, "theirs")
    with pytest.raises(RunsNotFound) as refused:
        comparison_runs(actor=cast.bob, kind=kind, selection=named("run-1", name))
    assert refused.value.names == (name,)
    assert name[:63] in refused.value.message and "run-1" not in refused.value.message


def test_of_very_many_unknown_names_ten_are_said(cast: Cast) -> None:
    with pytest.raises(RunsNotFound) as refused:
        comparison_runs(actor=cast.bob, kind=JOBS, selection=named(*(f"ghost-{n}" for n in range(40))))
    assert "“ghost-9” … (40)" in refused.value.message and "ghost-10" not in refused.value.message


@pytest.mark.parametrize("names", [(), ("run-1",), ("run-1", "run-1")])
def test_fewer_than_two_are_refused_with_what_would_be_accepted(cast: Cast, names: tuple[str, ...]) -> None:
    made(cast.alice, JOBS, 1)
    with pytest.raises(InvalidRequest, match=rf"{min(len(names), 1)} is too few; name 2 to 500"):
        comparison_runs(actor=cast.bob, kind=JOBS, selection=named(*names))


def test_more_than_can_be_compared_are_refused_with_their_number(cast: Cast) -> None:
    made(cast.alice, JOBS, N_MAX + 1)
    for selection in (Selection(search="run"), named(*(f"run-{n + 1}" for n in range(N_MAX + 1)))):
        with pytest.raises(InvalidRequest, match="501 are too many; 500 can be compared"):
            comparison_runs(actor=cast.bob, kind=JOBS, selection=selection)
    assert len(comparison_runs(actor=cast.bob, kind=JOBS, selection=Selection(search="run-4"))) == 111


def test_an_unknown_status_is_refused(cast: Cast) -> None:
    for kind in RunKind:
        with pytest.raises(InvalidRequest, match="status"):
            comparison_runs(actor=cast.bob, kind=kind, selection=Selection(status="Sleeping"))


def test_a_job_is_told_by_what_was_given_what_follows_from_it_and_what_came_out(cast: Cast) -> None:
    job_make(
        cast.alice,
        "first",
        hyperparameters={
            "k": "3",
            "predictor_type": "classifier",
            "sample_size": "20",
            "index_type": "faiss.IVFFlat",
        },
        environment={"MODE": "速い"},
    )
    TrainingJob.objects.update(
        final_metrics={"test:accuracy": 0.75, "精度": 0.5, "broken": None}, billable_s=7
    )
    job_make(cast.alice, "second")
    first, second = comparison_runs(actor=cast.bob, kind=JOBS, selection=named("first", "second"))
    assert first.parameters["algorithm"] == "knn"
    assert first.parameters["hyperparameters.k"] == "3"
    assert first.parameters["channels.train"] == "flags@1"
    assert first.parameters["environment.MODE"] == "速い"
    assert first.parameters["hyperparameters.faiss_index_ivf_nlists"] == "auto"
    assert "hyperparameters.faiss_index_ivf_nlists" in first.defaults
    assert (
        "hyperparameters.faiss_index_ivf_nlists" not in second.parameters
    )  # it does not matter for faiss.Flat
    assert second.parameters["hyperparameters.index_type"] == "faiss.Flat"
    assert "hyperparameters._seed" not in first.parameters
    assert first.metrics == {"test:accuracy": 0.75, "精度": 0.5, "billable_s": 7.0}
    assert first.directions["test:mse"] == "Minimize"
    assert not first.ended


def test_an_evaluation_is_told_by_its_facts_and_its_summary(cast: Cast) -> None:
    made(cast.alice, EVALUATIONS, 2)
    first, _second = comparison_runs(actor=cast.bob, kind=EVALUATIONS, selection=named("run-1", "run-2"))
    assert first.about == "cell-1"
    assert first.parameters["hyperparameters.sample_size"] == "2000"
    assert "sample_size" not in first.parameters  # it is not said twice
    assert (first.parameters["price_per_hour"], first.parameters["engine"]) == ("0.102", "tree")
    assert first.metrics["best_accuracy"] == pytest.approx(0.95)
    assert {"accuracy", "f1_macro", "single_p99_ms", "rows_per_s", "duration_s"} <= set(first.metrics)
    low, high = first.intervals["best_accuracy"]
    assert low < first.metrics["best_accuracy"] < high


def test_an_evaluation_without_a_result_or_with_half_a_summary_is_compared_all_the_same(cast: Cast) -> None:
    made(cast.alice, EVALUATIONS, 3)
    Evaluation.objects.filter(name="run-1").update(
        summary=None, result=None, facts={}, status="Failed", started_at=None
    )
    Evaluation.objects.filter(name="run-2").update(
        summary={"metric": "rmse", "value": None, "value_interval": [None, None]}
    )
    first, second, _third = comparison_runs(
        actor=cast.bob, kind=EVALUATIONS, selection=named("run-1", "run-2", "run-3")
    )
    assert first.metrics == {} and first.intervals == {}
    assert set(second.metrics) == {"duration_s"} and second.intervals == {}
    curves = comparison_curves(actor=cast.bob, kind=EVALUATIONS, names=["run-1", "run-3"], metric="accuracy")
    assert [curve.run for curve in curves] == ["run-3"]


@pytest.mark.parametrize(("kind", "queries"), [(JOBS, 2), (EVALUATIONS, 1)])
@pytest.mark.parametrize("n", [2, 60])
def test_the_number_of_queries_does_not_depend_on_the_number_of_runs(
    cast: Cast, kind: RunKind, queries: int, n: int, django_assert_num_queries: Any
) -> None:
    made(cast.alice, kind, n, **({"n_points": 3} if kind is JOBS else {}))
    names = [f"run-{place + 1}" for place in range(n)]
    with django_assert_num_queries(queries):
        comparison_runs(actor=cast.bob, kind=kind, selection=named(*names))
    with django_assert_num_queries(1):
        (metric, *_more) = comparison_curve_metrics(actor=cast.bob, kind=kind, names=names)
    with django_assert_num_queries(2 if kind is JOBS else 1):
        assert len(comparison_curves(actor=cast.bob, kind=kind, names=names, metric=metric)) == n


@pytest.mark.parametrize("kind", RunKind)
def test_500_runs_and_their_curves_are_read_well_within_the_budget(cast: Cast, kind: RunKind) -> None:
    made(cast.alice, kind, N_MAX, **({"n_points": 600} if kind is JOBS else {}))
    names = [f"run-{place + 1}" for place in range(N_MAX)]
    begin = process_time()  # of this process alone: other tests share the machine
    comparison_runs(actor=cast.bob, kind=kind, selection=named(*names))
    metric = comparison_curve_metrics(actor=cast.bob, kind=kind, names=names)[0]
    curves = comparison_curves(actor=cast.bob, kind=kind, names=names, metric=metric)
    assert process_time() - begin < LARGE_WITHIN_S
    assert sum(len(curve.points) for curve in curves) <= CURVE_POINTS_MAX


def test_a_long_curve_keeps_its_ends_its_extremes_and_its_order(cast: Cast) -> None:
    jobs = made(cast.alice, JOBS, 60)
    for job in jobs:
        values: list[float | None] = [0.5] * 3000
        values[1234], values[2345], values[7] = 9.0, -9.0, None
        curve_made(job, "loss", values)
    curves = comparison_curves(actor=cast.bob, kind=JOBS, names=[job.name for job in jobs], metric="loss")
    assert sum(len(curve.points) for curve in curves) <= CURVE_POINTS_MAX
    for curve in curves:
        steps = [step for step, _value in curve.points]
        assert steps == sorted(set(steps)) and (steps[0], steps[-1]) == (0, 2999)
        assert {(1234, 9.0), (2345, -9.0)} <= set(curve.points)


def test_curves_of_another_project_or_of_no_such_metric_are_not_there(cast: Cast) -> None:
    made(cast.charlie, JOBS, 2, "theirs", n_points=5)
    made(cast.alice, JOBS, 2, n_points=5)
    names = ["theirs-1", "run-1"]
    curves = comparison_curves(actor=cast.bob, kind=JOBS, names=names, metric="train:loss")
    assert [curve.run for curve in curves] == ["run-1"]
    for kind in RunKind:
        assert comparison_curves(actor=cast.bob, kind=kind, names=names, metric="confusions") == []
    assert comparison_curve_metrics(actor=cast.charlie, kind=JOBS, names=["run-1"]) == []


def test_points_that_were_removed_leave_no_curve(cast: Cast) -> None:
    made(cast.alice, JOBS, 2, n_points=5)
    MetricChunk.objects.filter(job__name="run-2").delete()
    curves = comparison_curves(actor=cast.bob, kind=JOBS, names=["run-1", "run-2"], metric="train:loss")
    assert [curve.run for curve in curves] == ["run-1"]


def test_evaluations_have_their_scores_by_k_with_intervals(cast: Cast) -> None:
    made(cast.alice, EVALUATIONS, 2)
    names = ["run-2", "run-1"]
    metrics = comparison_curve_metrics(actor=cast.bob, kind=EVALUATIONS, names=names)
    assert metrics == ["accuracy", "f1_weighted", "f1_macro", "f1_micro"]
    curves = comparison_curves(actor=cast.bob, kind=EVALUATIONS, names=names, metric="f1_macro")
    assert [curve.run for curve in curves] == names
    assert [x for x, _value in curves[0].points] == list(range(1, 21))
    assert curves[0].intervals is not None and len(curves[0].intervals) == 20


def test_clones_and_origins_are_offered_first_then_the_newest(cast: Cast) -> None:
    made(cast.alice, JOBS, 5, changes=lambda place: {"cloned_from": {0: "run-2", 1: "run-3"}.get(place, "")})
    found = comparison_candidates(actor=cast.bob, kind=JOBS, besides=["run-2"])
    assert [(one.name, one.related) for one in found] == [
        ("run-3", True),
        ("run-1", True),
        ("run-5", False),
        ("run-4", False),
    ]
    assert [one.name for one in comparison_candidates(actor=cast.bob, kind=JOBS, search="-4")] == ["run-4"]
    assert comparison_candidates(actor=cast.charlie, kind=JOBS, besides=["run-2"]) == []


def test_evaluations_on_the_same_dataset_are_offered_first(cast: Cast) -> None:
    made(cast.alice, EVALUATIONS, 4)
    Evaluation.objects.filter(name="run-4").update(dataset_reference="other@1")
    found = comparison_candidates(actor=cast.bob, kind=EVALUATIONS, besides=["run-1"])
    assert [(one.name, one.related) for one in found] == [("run-3", True), ("run-2", True), ("run-4", False)]
