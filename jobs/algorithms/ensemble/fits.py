"""The fits of an ensemble: one after the other, or beside each other on the job's threads. Their results in order.

A fit is one training of one member. Knows of no folds and of no blending.

Beside each other run fits on few values, each with one thread, since a second one would bring it little: not more than
the job has altogether. What is learned is the same either way, and so is the log: the lines of a fit follow those of
the fits before it. Only the thread that asks for the results writes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Final

from jobs.algorithms.base import TrainingContext
from jobs.algorithms.ensemble.answers import Floats
from jobs.algorithms.ensemble.members import KINDS

SMALL_VALUES: Final = 40_000
"""Values (rows by columns) up to which fits run beside each other: `xgboost.booster` takes one thread for them."""
_SEVERAL: Final = ("xgboost",)
_ONE: Final = ("catboost",)
"""Kinds of which several fits, or one, may run beside others.

CatBoost keeps whom to ask for an interrupt in one place of the process, which the end of a fit empties while another
calls it. The other kinds run alone: random-forest uses all threads for its trees, knn measures how fast it searches,
and linear-learner keeps Python busy, for which the others would wait.
"""
_LOOK_S: Final = 0.1
"""Between two looks at how far the fits are."""
KEPT_LINES: Final = 100_000
"""A fit that has said so many before its turn waits for it."""


class FitJob:
    """The ensemble's job as one of its fits sees it.

    Args:
        on_progress: Given how much of the fit is done, from 0 to 1.
    """

    def __init__(self, job: TrainingContext, *, n_threads: int, on_progress: Callable[[float], None]) -> None:
        self.job, self.n_threads, self.progress = job, n_threads, on_progress

    def log(self, message: str, *, level: str = "INFO") -> None:
        self.job.log(message, level=level)

    def stop_requested(self) -> bool:
        return self.job.stop_requested()

    def check_stop(self) -> None:
        self.job.check_stop()


@dataclass(frozen=True)
class Fit:
    """One training of one member. `run` trains, and returns answers where somebody wants them."""

    kind: str
    run: Callable[[FitJob], Floats | None]


@contextmanager
def fits_run(
    job: TrainingContext, fits: Sequence[Fit], *, n_values: int, share: tuple[float, float]
) -> Iterator[Iterator[Floats | None]]:
    """Within it the fits run; gives what they return, in their order.

    Args:
        n_values: Rows by columns of the largest of them.
        share: Of the job's progress, where the fits begin and end.

    Raises:
        Exception: What a fit raised, of those that have by then the first in order; the others are ended.
    """
    progress = _Progress(job, len(fits), share)
    n_threads = _n_threads(job, fits, n_values)
    if n_threads == 1:
        yield (
            fit.run(FitJob(job, n_threads=job.n_threads, on_progress=partial(progress.set, number)))
            for number, fit in enumerate(fits)
        )
        return
    beside = _Beside(job, fits, progress)
    try:
        beside.begin(n_threads)
        yield beside.results()
    finally:
        beside.end()


def _n_threads(job: TrainingContext, fits: Sequence[Fit], n_values: int) -> int:
    """Fits that may run at the same time."""
    if n_values > SMALL_VALUES:
        return 1
    n_several = sum(fit.kind in _SEVERAL for fit in fits)
    n_one = len({fit.kind for fit in fits if fit.kind in _ONE})
    return max(1, min(job.n_threads, n_several + n_one))


class _Progress:
    """How much of every fit is done, told as the job's progress."""

    def __init__(self, job: TrainingContext, n_fits: int, share: tuple[float, float]) -> None:
        self._job, self._share = job, share
        self._done = [0.0] * n_fits

    def note(self, number: int, fraction: float) -> None:
        """From any thread."""
        self._done[number] = fraction

    def tell(self) -> None:
        begin, end = self._share
        self._job.progress(begin + (end - begin) * sum(self._done) / len(self._done))

    def set(self, number: int, fraction: float) -> None:
        self.note(number, fraction)
        self.tell()


class _Ended(BaseException):
    """Ends a fit whose result nobody wants any more. Not an Exception, as a requested stop is none."""


class _BesideJob(FitJob):
    """Keeps what the fit says until it is its turn."""

    def __init__(
        self, job: TrainingContext, ended: threading.Event, on_progress: Callable[[float], None]
    ) -> None:
        super().__init__(job, n_threads=1, on_progress=on_progress)
        self._ended = ended
        self._lines: deque[tuple[str, str]] = deque()

    def log(self, message: str, *, level: str = "INFO") -> None:
        while len(self._lines) >= KEPT_LINES and not self.stop_requested():
            time.sleep(_LOOK_S)
        self._lines.append((message, level))

    def tell(self) -> None:
        """Writes what was said so far."""
        while self._lines:
            message, level = self._lines.popleft()
            self.job.log(message, level=level)

    def stop_requested(self) -> bool:
        return self._ended.is_set() or self.job.stop_requested()

    def check_stop(self) -> None:
        self.job.check_stop()
        if self._ended.is_set():
            raise _Ended


class _Beside:
    """Threads that take one fit after the other. Kinds that run alone wait until the threads are done."""

    def __init__(self, job: TrainingContext, fits: Sequence[Fit], progress: _Progress) -> None:
        self._job, self._fits, self._progress = job, fits, progress
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._jobs = {
            number: _BesideJob(job, self._ended, partial(progress.note, number))
            for number, fit in enumerate(fits)
            if fit.kind in _SEVERAL + _ONE
        }
        self._open = list(self._jobs)
        self._running: dict[int, str] = {}
        self._results: dict[int, Floats | None] = {}
        self._errors: dict[int, BaseException] = {}
        for kind in {fit.kind for fit in fits}:  # not in threads: some imports change what others find
            for module in KINDS[kind].engine_load().trains_with:
                import_module(module)
        self._threads: list[threading.Thread] = []

    def begin(self, n_threads: int) -> None:
        for number in range(n_threads):
            thread = threading.Thread(target=self._work, name=f"fit-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def results(self) -> Iterator[Floats | None]:
        for number, fit in enumerate(self._fits):
            if number in self._jobs:
                self._wait(partial(self._results.__contains__, number), self._jobs[number])
                yield self._results.pop(number)
            else:
                self._wait(self._is_idle)
                on_progress = partial(self._progress.set, number)
                yield fit.run(FitJob(self._job, n_threads=self._job.n_threads, on_progress=on_progress))

    def end(self) -> None:
        """Returns when no fit runs any more; those that do are ended."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _is_idle(self) -> bool:
        return not self._open and not self._running

    def _wait(self, is_over: Callable[[], bool], job: _BesideJob | None = None) -> None:
        """Raises what a fit raised, unless it is over before; writes meanwhile what the fit of `job` says."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: is_over() or bool(self._errors), timeout=_LOOK_S)
                over = is_over()
            if job is not None:
                job.tell()
            self._progress.tell()
            if over:
                return
            if self._errors:
                self.end()
                raise self._errors[min(self._errors)]
            self._job.check_stop()

    def _work(self) -> None:
        while (number := self._take()) is not None:
            try:
                result = self._fits[number].run(self._jobs[number])
            except _Ended:
                return
            except BaseException as error:
                self._ended.set()
                with self._changed:
                    self._errors[number] = error
                    self._changed.notify_all()
                return
            with self._changed:
                del self._running[number]
                self._results[number] = result
                self._changed.notify_all()

    def _take(self) -> int | None:
        """The first fit that may run now. None: there is none, and who runs one of its kind carries on with it."""
        with self._changed:
            if self._ended.is_set():
                return None
            for number in self._open:
                kind = self._fits[number].kind
                if kind in _SEVERAL or kind not in self._running.values():
                    self._open.remove(number)
                    self._jobs[number].n_threads = self._n_threads(kind)
                    self._running[number] = kind
                    return number
            return None

    def _n_threads(self, kind: str) -> int:
        """One; all idle ones for a kind that does not run beside itself, where no other is left that wants them."""
        if kind in _SEVERAL or any(self._fits[number].kind != kind for number in self._open):
            return 1
        return self._job.n_threads - len(self._running)
