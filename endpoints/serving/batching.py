"""Predictions one batch at a time, on one thread of their own.

Requests that wait while a batch is being predicted become the next batch; an idle predictor starts at once,
so nothing ever waits for company. One thread only, because engines that compute with OpenMP are slower and
less safe when several threads call them. The event loop of the model server calls `predict`; the queue is
bounded and a full one is an error.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from endpoints.serving.answers import ModelFault
from endpoints.serving.encode import Prediction
from mlplatform.core.errors import Throttled

logger = logging.getLogger(__name__)

Rows = NDArray[np.float32]


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


class Batcher:
    """The queue in front of one predictor.

    Args:
        n_waiting: Requests that may wait; one more is Throttled.
        n_batch_rows: A batch is not extended beyond this many rows.
    """

    def __init__(self, predictor: Predictor, *, n_waiting: int = 256, n_batch_rows: int = 4096) -> None:
        self._predictor = predictor
        self._n_waiting = n_waiting
        self._n_batch_rows = n_batch_rows
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._work, name="predictor", daemon=True)
        self._thread.start()

    async def predict(self, X: Rows, *, verbose: bool) -> Prediction:
        """Predicts the rows float32 [n, d], together with whatever else waits.

        Raises:
            Throttled: Too many requests wait already.
            ModelFault: The model raised an error; its traceback is in the log.
        """
        if self._queue.qsize() >= self._n_waiting:
            raise Throttled(
                f"{self._n_waiting} requests are waiting for this replica already; try again later"
            )
        waiting = _Waiting(X, verbose, self._loop.create_future())
        self._queue.put(waiting)
        return await waiting.future

    def busy_s(self) -> float:
        """Seconds since the batch that is being predicted was begun; 0 when idle."""
        since = self._busy_since
        return monotonic() - since if since is not None else 0.0

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Ends the thread when what waits has been predicted."""
        self._queue.put(None)

    # ---- on the predictor's thread

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch, is_last = self._gather(first)
            self._busy_since = monotonic()
            outcomes = self._outcomes(batch)
            self._busy_since = None
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_deliver, batch, outcomes)
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

    def _outcomes(self, batch: list[_Waiting]) -> list[Prediction | ModelFault]:
        wanted = [waiting for waiting in batch if not waiting.future.cancelled()]
        try:
            predictions = self._predict_together(wanted) if wanted else []
        except BaseException as error:  # even a SystemExit of a user's script must not end this thread
            if len(batch) == 1:
                return [_fault(error)]
            return [outcome for waiting in batch for outcome in self._outcomes([waiting])]
        done = dict(zip(map(id, wanted), predictions, strict=True))
        return [done.get(id(waiting), {}) for waiting in batch]

    def _predict_together(self, batch: list[_Waiting]) -> list[Prediction]:
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


def _deliver(batch: list[_Waiting], outcomes: list[Any]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.future.done():
            continue
        if isinstance(outcome, Exception):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome)
