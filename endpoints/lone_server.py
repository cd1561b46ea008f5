"""A model server that belongs to one job and not to an endpoint: started, watched and ended by the job's worker.

The steps are those of a host (`replica_plan`); what is laid out, enclosed and pinged is `replicas`. A server that has
ended is not started again: what ended it would do so again, and the job says why. Django-free. To be used by one
thread, which lives as long as the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from endpoints.replica_output import ReplicaOutput
from endpoints.replica_plan import READY_WITHIN_S, Phase, RowView, ServerView, Step, replica_next
from endpoints.replicas import ModelServer, ServerEnd, ServerThreads
from endpoints.server_spec import ServerSpec
from mlplatform.core.status import ReplicaStatus
from mlplatform.core.storage.store import ObjectStore
from mlplatform.core.text import text as _

_STEP_S: Final = 0.03


class LoneServer:
    """One model server through its one start."""

    def __init__(self, spec: ServerSpec, output: ReplicaOutput) -> None:
        self.spec = spec
        self.end: ServerEnd | None = None
        self.over_memory = False
        self._output = output
        self._threads = ServerThreads()
        self._server = ModelServer(spec, output, threads=self._threads)
        self._status = ReplicaStatus.STARTING

    @property
    def is_ready(self) -> bool:
        return self._status == ReplicaStatus.IN_SERVICE and self.end is None

    def start(self, store: ObjectStore, *, stopped: Callable[[], bool]) -> bool:
        """Lays the model out and starts the server; returns when it answers (True), has ended, or is to be stopped.

        Args:
            stopped: Whether to give up, asked about many times a second.
        """
        self._server.prepare(store, wake=_nothing)
        while not self.is_ready and self.end is None and not stopped():
            self.watch()
            time.sleep(_STEP_S)
        return self.is_ready

    def watch(self) -> None:
        """Takes the steps that are due; to be called twice a second or more. `end` is set once it has ended."""
        view = self._server.view()
        self.over_memory = self.over_memory or view.over_memory
        match replica_next(RowView(status=self._status), view):
            case Step.SPAWN:
                pid = self._server.spawn(wake=_nothing)
                self._output.note(f"model server started with process id {pid}")
            case Step.MARK_READY:
                self._server.ready()
                self._status = ReplicaStatus.IN_SERVICE
            case Step.KILL:
                self._server.kill(_because(view))
            case Step.RESTART | Step.FAIL:
                self.end = self._server.end

    def ended_within(self, seconds: float) -> bool:
        """Whether it has ended or does so in a moment: what it was asked for last may have ended it."""
        until = time.monotonic() + seconds
        while self.end is None and time.monotonic() < until:
            self.watch()
            time.sleep(_STEP_S)
        return self.end is not None

    def close(self) -> None:
        """Ends the process, if there is one, and removes its folders."""
        self._server.destroy()
        self._threads.close()
        self._server.clear()


def _because(view: ServerView) -> str:
    if view.over_memory:
        return _("OutOfMemory: the model server used more memory than its instance type has")
    if view.phase == Phase.LOADING:
        return _("The model server did not answer GET /ping within {n} s", n=f"{READY_WITHIN_S:g}")
    return _("The model server stopped answering GET /ping")


def _nothing() -> None:
    return None
