"""The threads on which a script's handlers run, one by default: a user's model need not be safe for several.

The event loop never waits for them, so that `/ping` is answered whatever a handler does. Daemon threads, since one that
hangs must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from endpoints.serving.answers import ModelFault
from endpoints.serving.script_model import Answered
from mlplatform.core.errors import Throttled

Work = Callable[[], Answered]


@dataclass(slots=True)
class _Waiting:
    work: Work
    future: asyncio.Future[Answered]


class HandlerThreads:
    """The queue in front of the handlers.

    Args:
        n_threads: Requests that may be in the handlers at once.
        n_waiting: Requests that may wait; one more is Throttled.
        answer_within_s: A request that is not answered by then is told so, wherever it is.
    """

    def __init__(self, *, n_threads: int = 1, n_waiting: int = 256, answer_within_s: float = 60.0) -> None:
        self._n_waiting = n_waiting
        self._answer_within_s = answer_within_s
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._busy_since: dict[int, float] = {}
        self._pid = os.getpid()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"handlers-{number}", daemon=True)
            for number in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Work) -> Answered:
        """What `work` answers, on one of the threads.

        Raises:
            Throttled: too many requests wait already.
            ModelFault: it did not answer in time.
            PlatformError: whatever `work` raises.
        """
        if self._queue.qsize() >= self._n_waiting:
            raise Throttled(
                f"{self._n_waiting} requests are waiting for this replica already; try again later"
            )
        waiting = _Waiting(work, self._loop.create_future())
        self._queue.put(waiting)
        try:
            return await asyncio.wait_for(waiting.future, self._answer_within_s)
        except TimeoutError:
            own_words = f"the handlers did not answer within {self._answer_within_s:g} s"
            raise ModelFault(own_words, original_status=500, original_message=own_words) from None

    def busy_s(self) -> float:
        """Seconds since the request was begun that has been in the handlers for longest; 0 when idle."""
        now = monotonic()
        return max((now - since for since in list(self._busy_since.values())), default=0.0)

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Ends the threads when what waits has been answered."""
        for _ in self._threads:
            self._queue.put(None)

    # ---- on a thread

    def _work(self, number: int) -> None:
        while (waiting := self._queue.get()) is not None:
            if waiting.future.cancelled():  # it was late, or its client has gone
                continue
            self._busy_since[number] = monotonic()
            outcome = _outcome(waiting.work)
            if os.getpid() != self._pid:  # a handler forked, and this is the copy that came back
                os._exit(0)
            self._busy_since.pop(number, None)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_deliver, waiting.future, outcome)


def _outcome(work: Work) -> Any:
    try:
        return work()
    except BaseException as error:
        return error


def _deliver(future: asyncio.Future[Answered], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Answered):
        future.set_result(outcome)
    elif isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:  # a future takes no KeyboardInterrupt and the like
        future.set_exception(RuntimeError(f"{type(outcome).__name__}: {outcome}"))
