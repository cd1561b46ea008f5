"""Predictions one batch at a time: of few rows on the event loop, of many on one thread of their own.

Requests that wait while a batch is being predicted become the next batch, and so do those that arrive in one turn of
the loop; an idle predictor starts at once, so nothing ever waits for company. Where so few rows have lately been quick,
the loop predicts them itself: handing them to a thread and back costs more than they do. Never both at a time, because
engines that compute with OpenMP are slower and less safe when several threads call them. The event loop of the model
server calls `predict`; the queue is bounded and a full one is an error.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from endpoints.serving.answers import ModelFault
from endpoints.serving.encode import Prediction
from mlplatform.core.errors import Throttled

logger = logging.getLogger(__name__)

Rows = NDArray[np.float32]

QUICK_S: Final = 0.001
"""For so long the loop may be kept from its connections; a thread's switches would take a good part of it."""


class Predictor(Protocol):
    """A loaded model: what the model server needs of `jobs.algorithms.base.Predictor`."""

    @property
    def n_features(self) -> int: ...
    def predict(self, X: Rows, *, verbose: bool) -> Prediction: ...


@dataclass(slots=True)
class _Waiting:
    X: Rows
    verbose: bool
    future: asyncio.Future[Prediction]


@dataclass(slots=True)
class _Done:
    """A batch with one outcome for each of its requests, and how long it took."""

    batch: list[_Waiting]
    outcomes: list[Prediction | ModelFault]
    took_s: float


class Batcher:
    """The queue in front of one predictor.

    Args:
        n_waiting: Requests that may wait; one more is Throttled.
        n_batch_rows: A batch is not extended beyond this many rows.
        quick_s: As many rows as were last predicted within this time are predicted on the loop.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        n_waiting: int = 256,
        n_batch_rows: int = 4096,
        quick_s: float = QUICK_S,
    ) -> None:
        self._quick_s = quick_s
        self._predictor = predictor
        self._n_waiting = n_waiting
        self._n_batch_rows = n_batch_rows
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._busy_since: float | None = None
        self._gathered: list[_Waiting] = []
        self._n_on_thread = 0
        self._quick_rows = 0
        self._thread = threading.Thread(target=self._work, name="predictor", daemon=True)
        self._thread.start()

    async def predict(self, X: Rows, *, verbose: bool) -> Prediction:
        """Predicts the rows float32 [n, d], together with whatever else waits.

        Raises:
            Throttled: Too many requests wait already.
            ModelFault: The model raised an error; its traceback is in the log.
        """
        if self._queue.qsize() + len(self._gathered) >= self._n_waiting:
            raise Throttled(
                f"{self._n_waiting} requests are waiting for this replica already; try again later"
            )
        waiting = _Waiting(X, verbose, self._loop.create_future())
        if not self._gathered:  # others may arrive in this turn of the loop
            self._loop.call_soon(self._begin)
        self._gathered.append(waiting)
        return await waiting.future

    def busy_s(self) -> float:
        """Seconds since the batch that is on the thread was begun; 0 when there is none."""
        since = self._busy_since
        return monotonic() - since if since is not None else 0.0

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Ends the thread when what waits has been predicted."""
        self._begin()
        self._queue.put(None)

    # ---- on the loop

    def _begin(self) -> None:
        """Predicts what has gathered, or hands it to the thread: where that is at work, or the rows may take long."""
        gathered, self._gathered = self._gathered, []
        n_rows = sum(len(waiting.X) for waiting in gathered)
        if self._n_on_thread == 0 and n_rows <= self._quick_rows:
            self._deliver(self._done(gathered))
            return
        self._n_on_thread += len(gathered)
        for waiting in gathered:
            self._queue.put(waiting)

    def _deliver_from_thread(self, n_taken: int, done: _Done) -> None:
        self._n_on_thread -= n_taken
        self._deliver(done)

    def _deliver(self, done: _Done) -> None:
        n_rows = sum(len(waiting.X) for waiting in done.batch)
        if done.took_s > self._quick_s:
            self._quick_rows = min(self._quick_rows, n_rows - 1)
        elif not any(isinstance(outcome, ModelFault) for outcome in done.outcomes):  # faults may be quicker
            self._quick_rows = max(self._quick_rows, n_rows)
        for waiting, outcome in zip(done.batch, done.outcomes, strict=True):
            if waiting.future.done():
                continue
            if isinstance(outcome, ModelFault):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)

    # ---- on the predictor's thread

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch, is_last = self._gather(first)
            self._busy_since = monotonic()
            done = self._done(batch)
            self._busy_since = None
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver_from_thread, len(batch), done)
            if is_last:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        batch, n_rows = [first], len(first.X)
        while n_rows < self._n_batch_rows:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return batch, True
            batch.append(waiting)
            n_rows += len(waiting.X)
        return batch, False

    # ---- on either

    def _done(self, gathered: list[_Waiting]) -> _Done:
        """Predicts for those whose clients are still there."""
        batch = [waiting for waiting in gathered if not waiting.future.cancelled()]
        began_at = perf_counter()
        outcomes = self._outcomes(batch) if batch else []
        return _Done(batch, outcomes, perf_counter() - began_at)

    def _outcomes(self, batch: list[_Waiting]) -> list[Prediction | ModelFault]:
        try:
            return self._predict_together(batch)
        except BaseException as error:  # even a SystemExit of a user's script must not end this thread
            if len(batch) == 1:
                return [_fault(error)]
            return [outcome for waiting in batch for outcome in self._outcomes([waiting])]

    def _predict_together(self, batch: list[_Waiting]) -> list[Prediction | ModelFault]:
        if len(batch) == 1:
            return [self._checked(batch[0].X, verbose=batch[0].verbose)]
        verbose = any(waiting.verbose for waiting in batch)
        together = self._checked(np.concatenate([waiting.X for waiting in batch]), verbose=verbose)
        ends = np.cumsum([len(waiting.X) for waiting in batch]).tolist()
        starts = [0, *ends[:-1]]
        return [
            {name: column[start:end] for name, column in together.items()}
            for start, end in zip(starts, ends, strict=True)
        ]

    def _checked(self, X: Rows, *, verbose: bool) -> Prediction:
        prediction = self._predictor.predict(X, verbose=verbose)
        for name, column in prediction.items():
            if len(column) != len(X):
                raise ValueError(f"the model answered {len(column)} values of {name} for {len(X)} rows")
        return prediction


def _fault(error: BaseException) -> ModelFault:
    logger.error("the model failed to predict:\n%s", "".join(traceback.format_exception(error)).rstrip())
    own_words = f"{type(error).__name__}: {error}"
    message = f'Received server error (500) from model with message "{own_words}". Its log has the traceback.'
    return ModelFault(message, original_status=500, original_message=own_words)
