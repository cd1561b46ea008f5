"""Job processes that a worker has started before their jobs: for the kinds of job it has run lately, one each.

They save a job the start of an interpreter and the imports of its libraries. A worker that has run nothing has none,
and they end when no job of their kind has come for a while. Each serves one job. Called by `jobs.services.execution`,
and closed by the worker when it ends.

A thread of its own starts and ends them: the kernel ends a job process with the thread that started it, so that
thread lives as long as the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import cache
from typing import Final

from django.conf import settings

from jobs.runner.warm_process import WarmKind, WarmProcess
from jobs.services.clearing import work_dir
from mlplatform.core.process_identity import process_identity

logger = logging.getLogger(__name__)
MOST: Final = 4
"""Of all kinds together."""
IDLE_S: Final = 120.0


class WarmProcesses:
    """The processes of one worker.

    Args:
        n_per_kind: How many wait of each kind; 0: none at all.
        idle_s: How long a kind is kept without a job.
        n_most: How many there are of all kinds; those of the kind used longest ago give way.
    """

    def __init__(self, *, n_per_kind: int, idle_s: float = IDLE_S, n_most: int = MOST) -> None:
        self._n_per_kind = n_per_kind if process_identity() else 0
        self._idle_s = idle_s
        self._n_most = n_most
        self._condition = threading.Condition()
        self._waiting: list[WarmProcess] = []
        self._used_at: dict[WarmKind, float] = {}
        self._is_closed = False
        self._keeper: threading.Thread | None = None

    def take(self, kind: WarmKind) -> WarmProcess | None:
        """One of this kind, which is the caller's now; None where there is none. Another will be started."""
        if self._n_per_kind < 1:
            return None
        with self._condition:
            self._used_at.pop(kind, None)
            self._used_at[kind] = time.monotonic()  # at the end: the order is that of use
            found = next((each for each in self._waiting if each.kind == kind and each.waits), None)
            if found is not None:
                self._waiting.remove(found)
            if self._keeper is None and not self._is_closed:
                self._keeper = threading.Thread(target=self._keep, name="warm-processes", daemon=True)
                self._keeper.start()
            self._condition.notify_all()
        return found

    def kinds(self) -> list[WarmKind]:
        """Of those that wait."""
        with self._condition:
            return [each.kind for each in self._waiting]

    def pid_of(self, kind: WarmKind) -> int:
        """Of one that waits. Raises StopIteration where there is none."""
        with self._condition:
            return next(each.process.main_pid for each in self._waiting if each.kind == kind)

    def close(self) -> None:
        """Ends those that wait. Call when no job of this worker runs any more: they end with the thread."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        if self._keeper is not None:
            self._keeper.join()

    def _keep(self) -> None:
        """Has what is wanted and nothing else, until closed."""
        while True:
            with self._condition:
                if self._is_closed:
                    break
                superfluous, wanted = self._superfluous(), self._wanted()
                if not superfluous and wanted is None:
                    self._condition.wait(self._until_next())
                    continue
            for each in superfluous:
                self._end(each)
            if wanted is not None:
                self._start(wanted)
        for each in self._waiting:
            self._end(each)
        self._waiting.clear()

    def _superfluous(self) -> list[WarmProcess]:
        """Takes out those that ended, of kinds not used for long, and too many."""
        now = time.monotonic()
        for each in self._waiting:
            if not each.waits:
                # It would end again: the next job of the kind starts by itself, and asks for one again.
                self._used_at.pop(each.kind, None)
        for kind, used_at in list(self._used_at.items()):
            if now - used_at >= self._idle_s:
                del self._used_at[kind]
        kept = list(self._used_at)[-max(1, self._n_most // self._n_per_kind) :]
        self._used_at = {kind: self._used_at[kind] for kind in kept}
        superfluous = [each for each in self._waiting if each.kind not in self._used_at]
        self._waiting = [each for each in self._waiting if each.kind in self._used_at]
        return superfluous

    def _wanted(self) -> WarmKind | None:
        """A kind of which there are too few, the one used last first."""
        counts = dict.fromkeys(self._used_at, 0)
        for each in self._waiting:
            counts[each.kind] += 1
        return next((kind for kind in reversed(counts) if counts[kind] < self._n_per_kind), None)

    def _until_next(self) -> float | None:
        """Seconds until a kind has not been used for long."""
        oldest = min(self._used_at.values(), default=None)
        return None if oldest is None else max(0.0, oldest + self._idle_s - time.monotonic())

    def _start(self, kind: WarmKind) -> None:
        try:
            process = WarmProcess(kind, work_dir())
        except Exception as error:
            logger.warning("no process for the next job of %s is started ahead: %s", kind.name, error)
            with self._condition:
                self._used_at.pop(kind, None)
            return
        with self._condition:
            self._waiting.append(process)

    def _end(self, process: WarmProcess) -> None:
        try:
            process.end()
        except Exception:
            logger.exception("a process that waited for a job of %s could not be ended", process.kind.name)


@cache
def warm_processes() -> WarmProcesses:
    """Those of this worker."""
    return WarmProcesses(
        n_per_kind=settings.MLPLATFORM_WARM_PROCESSES, idle_s=settings.MLPLATFORM_WARM_IDLE_S
    )
