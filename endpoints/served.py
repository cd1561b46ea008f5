"""A replica as its host has it: the row, the process, the log. Takes the steps that `replica_plan` decides.

Rows are changed through `services.replicas`, the process through `replicas`. Called by the host's loop
(`reconciler.py`), always on its main thread.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseFault

from endpoints.asleep_models import put_to_sleep, wake_up
from endpoints.elastic import vcpus_of
from endpoints.models import ProductionVariant, Replica
from endpoints.replica_output import ReplicaOutput
from endpoints.replica_plan import (
    READY_WITHIN_S,
    STABLE_AFTER_S,
    Phase,
    RowView,
    Step,
    pause_after_failed_s,
    pause_s,
    replica_next,
)
from endpoints.replicas import ModelServer, ServerEnd, ServerThreads
from endpoints.served_spec import request_limits_of, server_spec_of
from endpoints.server_spec import ServerSpec, socket_folder
from endpoints.services import replicas as rows
from endpoints.services.elastic import AGAIN_AT, is_elastic
from endpoints.services.replica_runs import RunEnd
from endpoints.wake import gateway_wake
from jobs.instance_types import cpus_here, instance_type_get
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import LogFenced, log_append, log_end
from mlplatform.core.status import EndpointStatus, ReplicaStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import Text, to_json
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)

_STEPS_AT_ONCE = 4
_MEMORY_STEP_BYTES = 2**20


@dataclass(frozen=True)
class HostPlace:
    """What all replicas of a host share.

    Args:
        wake: Ends the loop's wait at once; may be called from any thread.
        tell: Has the gateway of this machine look for what has changed.
    """

    name: str
    models_dir: Path
    socket_dir: Path
    threads: ServerThreads
    wake: Callable[[], None]
    tell: Callable[[], None] = gateway_wake


class ServedReplica:
    """One replica of this host. `over` is true when nothing of it is left here."""

    def __init__(self, row: Replica, place: HostPlace) -> None:
        self.row = row
        self.server: ModelServer | None = None
        self.over = False
        self.changed = False
        self._place = place
        self._log = row.log
        self._output = ReplicaOutput(
            limit_bytes=settings.MLPLATFORM_LOG_LIMIT_BYTES, used_bytes=row.log.n_bytes
        )
        self._lines: list[LogLines] = []
        self._truncated = False
        self._mine = True
        self._n_failures = 0
        self._not_before = 0.0
        self._ready_at = 0.0
        self._draining_since = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether something is likely to happen within a moment."""
        return self.row.status not in {ReplicaStatus.IN_SERVICE, ReplicaStatus.FAILED}

    @property
    def next_look_s(self) -> float:
        """Seconds until it is to be looked at though nobody told of anything."""
        return self.server.next_ping_s if self.server is not None else math.inf

    @property
    def has_process(self) -> bool:
        return self.server is not None and self.server.has_process

    def adopt(self, row: Replica) -> None:
        """Takes the row as it is now in the database."""
        if row.status == ReplicaStatus.DRAINING and not self._draining_since:
            self._draining_since = time.monotonic()
            self._give_up_preparing()
        self.row = row

    def disown(self) -> None:
        """The row was deleted or is another host's: only the process is left to end."""
        self._mine = False
        self._give_up_preparing()

    def _give_up_preparing(self) -> None:
        if self.server is not None:
            self.server.give_up()

    def advance(self) -> None:
        """Takes all steps that are possible now. Raises DatabaseFault; anything else fails this replica alone."""
        try:
            for _ in range(_STEPS_AT_ONCE):
                step = self._next()
                if step is None or self.over:
                    return
                self._take(step)
        except DatabaseFault:
            raise
        except Exception as error:
            logger.exception("replica %s", self.row)
            if self.server is not None:
                self.server.destroy()
            self._fail(ServerEnd(f"The host could not run this replica: {error}", explained=True))

    def _next(self) -> Step | None:
        server = self.server.view() if self.server else None
        if not self._mine:
            return replica_next(None, server) or (None if server else Step.FORGET)
        now = time.monotonic()
        row = RowView(
            status=ReplicaStatus(self.row.status),
            live=self._is_live() and self._is_wanted(),
            draining_s=now - self._draining_since,
            paused=now < self._not_before,
        )
        return replica_next(row, server)

    def _is_live(self) -> bool:
        return self.row.endpoint.live_id == self.row.variant.config_id

    def _is_wanted(self) -> bool:
        variant = self.row.variant
        return not is_elastic(variant) or variant.n_wanted > 0

    def _take(self, step: Step) -> None:
        server = self.server
        match step:
            case Step.PREPARE:
                self._prepare()
            case Step.MARK_GONE:
                self._mark_gone()
            case Step.FORGET:
                self._forget()
            case Step.SPAWN if server:
                self._spawn(server)
            case Step.MARK_READY if server:
                self._mark_ready(server)
            case Step.TERMINATE if server:
                server.terminate()
            case Step.KILL if server:
                server.kill(_reason_to_kill(server))
            case Step.RESTART if server and server.end:
                self._restart(server.end)
            case Step.FAIL if server and server.end:
                self._fail(server.end)

    # ---- steps

    def _prepare(self) -> None:
        if self.row.status != ReplicaStatus.STARTING and not self._set_starting():
            return
        if is_elastic(self.row.variant):
            wake_up(self._folder, variant_id=self.row.variant_id)
        self.server = ModelServer(
            self._spec(), self._output, threads=self._place.threads, n_failures=self._n_failures
        )
        self.server.prepare(object_store(), wake=self._place.wake)

    def _spec(self) -> ServerSpec:
        n_threads, memory_limit_bytes = _share(self.row.variant)
        return server_spec_of(
            model=self.row.variant.model,
            uid=self.row.uid,
            n_threads=n_threads,
            memory_limit_bytes=memory_limit_bytes,
            folder=self._folder,
            socket=socket_folder(self._place.socket_dir, uid=self.row.uid) / "model.sock",
            **request_limits_of(self.row.variant),
        )

    @property
    def _folder(self) -> Path:
        return self._place.models_dir / self.row.uid

    def _spawn(self, server: ModelServer) -> None:
        pid = server.spawn(wake=self._place.wake)
        self._output.note(f"model server started with process id {pid}")
        self.changed |= not rows.replica_started(replica_id=self.row.pk, host=self._place.name, pid=pid)

    def _mark_ready(self, server: ModelServer) -> None:
        server.ready()
        self._ready_at = time.monotonic()
        address = f"unix:{server.spec.socket}"
        if rows.replica_ready(replica_id=self.row.pk, host=self._place.name, address=address):
            self.row.status = ReplicaStatus.IN_SERVICE
            self._place.tell()
        self.changed = True

    def _restart(self, end: ServerEnd) -> None:
        stable = self.server is not None and self.server.was_ready
        if stable and time.monotonic() - self._ready_at > STABLE_AFTER_S:
            self._n_failures = 0
        self._n_failures += 1
        pause = pause_s(self._n_failures)
        self._not_before = time.monotonic() + pause
        self._output.note(f"{end.reason}; starting again in {pause:g} s")
        logger.warning("replica %s: %s; starting again in %g s", self.row, end.reason, pause)
        self.server = None
        self._set_starting(silent_s=end.silent_s, reason=_run_end(end))

    def _set_starting(self, *, silent_s: float = 0.0, reason: RunEnd = RunEnd.CRASHED) -> bool:
        if rows.replica_crashed(
            replica_id=self.row.pk, host=self._place.name, silent_s=silent_s, reason=reason
        ):
            self.row.status = ReplicaStatus.STARTING
            return True
        self.changed = True
        return False

    def _fail(self, end: ServerEnd) -> None:
        retried = self._is_live()
        failure: dict[str, Any] = {
            "reason": end.reason[:1024],
            "said": to_json(end.reason) if isinstance(end.reason, Text) else None,
            "detail": self._output.traceback()[-8000:],
            "log_tail": self._output.tail(),
        }
        self._n_failures += 1
        pause = pause_after_failed_s(self._n_failures)
        self._not_before = time.monotonic() + pause
        failure[AGAIN_AT] = time.time() + pause
        self._output.note(f"failed to start: {end.reason}")
        logger.warning("replica %s failed to start: %s", self.row, end.reason)
        rows.replica_failed(
            replica_id=self.row.pk,
            host=self._place.name,
            failure=failure,
            retried=retried,
            reason=RunEnd.OUT_OF_MEMORY if _is_out_of_memory(end) else RunEnd.FAILED_TO_START,
        )
        self.row.status = ReplicaStatus.FAILED
        self._place.tell()
        self.changed = True
        if retried:
            self.server = None
        else:
            self._forget()
            log_end(stream=self._log)

    def _mark_gone(self) -> None:
        self.store_log()
        rows.replica_gone(replica_id=self.row.pk, host=self._place.name, reason=self._why_gone())
        if self._is_live() and is_elastic(self.row.variant) and self._folder.is_dir():
            put_to_sleep(self._folder, variant_id=self.row.variant_id)
        self.changed = True
        self._forget()

    def _why_gone(self) -> RunEnd:
        if self.row.endpoint.status == EndpointStatus.DELETING:
            return RunEnd.DELETED
        if not self._is_live():
            return RunEnd.REPLACED
        return RunEnd.SCALED_DOWN if self._is_wanted() else RunEnd.IDLE

    def _forget(self) -> None:
        self.store_log()
        if self.server is not None:
            self.server.clear()
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        self.over = True

    # ---- what it prints and uses

    def store_log(self) -> None:
        """Stores what was printed since the last time. Raises DatabaseFault; then it is tried again."""
        if not self._lines:
            self._lines, self._truncated = self._output.take()
        if not self._lines:
            return
        try:
            log_append(stream=self._log, lines=self._lines, truncated=self._truncated)
        except LogFenced:
            logger.info("the log of replica %s has ended or is written by another host", self.row)
        self._lines = []

    def store_memory(self) -> None:
        """Writes the memory in use, when it has changed by more than a megabyte."""
        n_bytes = self.server.memory_bytes if self.server else 0
        if n_bytes and abs(n_bytes - (self.row.memory_bytes or 0)) > _MEMORY_STEP_BYTES:
            self.row.memory_bytes = n_bytes
            rows.replica_memory(replica_id=self.row.pk, host=self._place.name, memory_bytes=n_bytes)


def _share(variant: ProductionVariant) -> tuple[int, int]:
    """Threads and bytes of memory that one of its model servers may use."""
    if variant.serverless_memory_mb is not None:
        return vcpus_of(variant.serverless_memory_mb), variant.serverless_memory_mb * 2**20
    instance_type = instance_type_get(variant.instance_type)
    return min(instance_type.vcpus, cpus_here()), instance_type.memory_limit_bytes


def _run_end(end: ServerEnd) -> RunEnd:
    if _is_out_of_memory(end):
        return RunEnd.OUT_OF_MEMORY
    return RunEnd.SILENT if end.silent_s else RunEnd.CRASHED


def _is_out_of_memory(end: ServerEnd) -> bool:
    return end.reason.startswith("OutOfMemory")


def _reason_to_kill(server: ModelServer) -> str:
    view = server.view()
    if view.over_memory:
        used, limit = (n / 2**20 for n in (server.memory_bytes, server.spec.memory_limit_bytes))
        return _(
            "OutOfMemory: the model server used {used} MiB; it may have {limit} MiB",
            used=f"{used:,.0f}",
            limit=f"{limit:,.0f}",
        )
    if view.phase == Phase.LOADING:
        return _("The model server did not answer GET /ping within {n} s", n=f"{READY_WITHIN_S:g}")
    if view.phase == Phase.READY:
        return _("The model server stopped answering GET /ping")
    return _("The model server did not end when it was asked to")
