"""Fits beside each other give what fits in turn give: results, log lines, failures, an end when asked for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.algorithms.base import ChannelInput, DataFacts
from jobs.algorithms.ensemble import fits as fits_module
from jobs.algorithms.ensemble.answers import Floats
from jobs.algorithms.ensemble.fits import SMALL_VALUES, Fit, FitJob, fits_run
from jobs.runner.process import StopRequested
from mlplatform.core.errors import DataError

WAIT_S = 30.0


class Job:
    """A `TrainingContext` that remembers what it is told."""

    hyperparameters: Mapping[str, Any] = {}
    channels: Mapping[str, ChannelInput] = {}
    model_dir = output_dir = Path("/nonexistent")
    host = "algo-1"

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.lines: list[str] = []
        self.writers: set[int] = set()
        self.fractions: list[float] = []
        self.stop = threading.Event()

    def log(self, message: str, *, level: str = "INFO") -> None:
        self.lines.append(f"{level} {message}")
        self.writers.add(threading.get_ident())

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)
        self.writers.add(threading.get_ident())

    def check(self, facts: DataFacts) -> None: ...

    def model_facts(self, facts: Mapping[str, Any]) -> None: ...

    def stop_requested(self) -> bool:
        return self.stop.is_set()

    def check_stop(self) -> None:
        if self.stop.is_set():
            raise StopRequested


def results_of(job: Job, fits: list[Fit], *, n_values: int = 10) -> list[Floats | None]:
    with fits_run(job, fits, n_values=n_values, share=(0.1, 0.9)) as results:
        return list(results)


def until_stopped(job: FitJob, started: threading.Event) -> None:
    """A fit that goes on until somebody ends it."""
    started.set()
    pause = threading.Event()
    while True:
        job.check_stop()
        pause.wait(0.002)


def number(
    n: int, *waits_for: threading.Event, told: threading.Event | None = None
) -> Callable[[FitJob], Floats]:
    """Says what it is in two lines and answers it."""

    def run(job: FitJob) -> Floats:
        job.log(f"{n} begins")
        for event in waits_for:
            assert event.wait(WAIT_S)
        job.progress(0.5)
        job.log(f"{n} ends", level="WARNING")
        if told is not None:
            told.set()
        job.progress(1.0)
        return np.full((1, 1), n, np.float64)

    return run


def test_two_fits_run_at_the_same_time_each_with_one_thread_and_the_log_is_in_order() -> None:
    job, threads, both = Job(2), [], threading.Barrier(2, timeout=WAIT_S)

    def together(fit: FitJob, then: Callable[[FitJob], Floats]) -> Floats:
        threads.append(fit.n_threads)
        both.wait()
        return then(fit)

    last_is_done = threading.Event()
    first, last = number(0, last_is_done), number(1, told=last_is_done)
    fits = [Fit("xgboost", lambda fit: together(fit, first)), Fit("xgboost", lambda fit: together(fit, last))]
    assert [found.item() for found in results_of(job, fits) if found is not None] == [0, 1]
    assert threads == [1, 1]
    assert job.lines == ["INFO 0 begins", "WARNING 0 ends", "INFO 1 begins", "WARNING 1 ends"]
    assert job.writers == {threading.get_ident()}
    assert job.fractions == sorted(job.fractions)
    assert job.fractions[-1] == pytest.approx(0.9)


def test_catboost_is_fitted_once_at_a_time_and_what_runs_alone_has_all_threads() -> None:
    """The thread that has done the first fit finds catboost busy, and must take the fit that this waits for."""
    job, last_is_done, lock = Job(2), threading.Event(), threading.Lock()
    running: list[tuple[str, int]] = []
    seen: list[list[tuple[str, int]]] = []

    def run(fit: FitJob, kind: str, waits: bool, tells: bool) -> None:
        me = (kind, fit.n_threads)
        with lock:
            running.append(me)
            seen.append(list(running))
        if waits:
            assert last_is_done.wait(WAIT_S)
        if tells:
            last_is_done.set()
        with lock:
            running.remove(me)

    order = [("xgboost", 0, 0), ("catboost", 1, 0), ("knn", 0, 0), ("catboost", 0, 0), ("xgboost", 0, 1)]
    fits = [
        Fit(kind, partial(run, kind=kind, waits=bool(waits), tells=bool(tells)))
        for kind, waits, tells in order
    ]
    assert len(results_of(job, fits)) == len(fits)
    assert sorted(beside[-1][0] for beside in seen) == sorted(kind for kind, _waits, _tells in order)
    assert all([kind for kind, _n in beside].count("catboost") < 2 for beside in seen)
    assert all(sum(n for _kind, n in beside) <= 2 for beside in seen)
    assert [beside[-1] for beside in seen if beside[-1][0] == "xgboost"] == [("xgboost", 1), ("xgboost", 1)]
    assert seen[-1] == [("knn", 2)]


def test_catboost_has_the_threads_that_nobody_else_wants() -> None:
    job, last_is_done, seen = Job(4), threading.Event(), []

    def fit_catboost(fit: FitJob, is_last: bool) -> None:
        seen.append(fit.n_threads)
        if is_last:
            last_is_done.set()

    fits = [
        Fit("xgboost", number(0, last_is_done)),
        Fit("catboost", partial(fit_catboost, is_last=False)),
        Fit("catboost", partial(fit_catboost, is_last=True)),
    ]
    results_of(job, fits)
    assert seen == [3, 3]


@pytest.mark.parametrize(
    ("n_threads", "n_values", "kinds"),
    [
        (2, SMALL_VALUES + 1, ["xgboost", "xgboost"]),
        (1, 10, ["xgboost", "xgboost"]),
        (2, 10, ["catboost", "catboost"]),
        (2, 10, ["random-forest", "linear-learner"]),
    ],
)
def test_large_fits_and_those_of_which_one_may_run_take_turns_with_all_threads(
    n_threads: int, n_values: int, kinds: list[str]
) -> None:
    job, seen = Job(n_threads), []
    fits = [Fit(kind, lambda fit: seen.append((threading.get_ident(), fit.n_threads))) for kind in kinds]
    results_of(job, fits, n_values=n_values)
    assert seen == [(threading.get_ident(), n_threads)] * len(kinds)


def test_what_a_fit_raises_ends_the_others_and_comes_through() -> None:
    job, started = Job(2), threading.Event()

    def fails(fit: FitJob) -> None:
        assert started.wait(WAIT_S)
        raise DataError("the labels are all the same", row=3)

    never: list[int] = []
    fits = [
        Fit("xgboost", lambda fit: until_stopped(fit, started)),
        Fit("catboost", fails),
        Fit("xgboost", lambda fit: never.append(1)),
    ]
    with pytest.raises(DataError, match="the labels are all the same") as caught:
        results_of(job, fits)
    assert caught.value.row == 3
    assert never == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fit-")]


def test_a_requested_stop_ends_all_fits() -> None:
    job, started = Job(2), [threading.Event(), threading.Event()]

    def stop() -> None:
        assert all(event.wait(WAIT_S) for event in started)
        job.stop.set()

    asker = threading.Thread(target=stop)
    asker.start()
    with pytest.raises(StopRequested):
        results_of(job, [Fit("xgboost", lambda fit, one=one: until_stopped(fit, one)) for one in started])
    asker.join()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fit-")]


def test_an_error_between_two_results_ends_the_fits() -> None:
    job, started = Job(2), threading.Event()
    fits = [Fit("xgboost", number(0, started)), Fit("xgboost", lambda fit: until_stopped(fit, started))]
    with (
        pytest.raises(ZeroDivisionError),
        fits_run(job, fits, n_values=10, share=(0.0, 1.0)) as results,
    ):
        for _result in results:
            raise ZeroDivisionError
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fit-")]


def test_a_fit_that_says_much_before_its_turn_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits_module, "KEPT_LINES", 5)
    said, first_may_end = [], threading.Event()

    def first(job: FitJob) -> None:
        assert first_may_end.wait(WAIT_S)
        job.log("first")

    def second(job: FitJob) -> None:
        for number in range(20):
            job.log(f"second {number}")
            said.append(number)
            if number == 4:
                threading.Timer(0.3, first_may_end.set).start()
            assert number < 5 or first_may_end.is_set()

    job = Job(n_threads=2)
    results_of(job, [Fit("xgboost", first), Fit("xgboost", second)])
    assert job.lines == ["INFO first", *(f"INFO second {number}" for number in range(20))]
    assert said == [*range(20)]
