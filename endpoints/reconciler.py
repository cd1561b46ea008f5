"""The host's loop: compares the replicas it is to run with the model servers that run, and acts until they agree.

Level-triggered: every pass looks at what is, never at what happened, so a lost wake-up or a restart changes nothing.
What to do is decided by `plan` (endpoints) and `replica_plan` (replicas); rows are changed by `services`. Called by
`manage.py host`, on its main thread.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from endpoints.models import Replica
from endpoints.replica_output import ReplicaOutput
from endpoints.replica_plan import (
    Phase,
    RowView,
    Step,
    pause_after_failed_s,
    pause_s,
    replica_next,
)
from endpoints.replicas import ModelServer, ServerEnd, ServerSpec, leftovers_kill
from endpoints.services import replicas as rows
from endpoints.services.rollout import rollout_steps
from endpoints.services.tables import table_run_sweep
from jobs.instance_types import cpus_here, instance_type_get
from mlplatform.core import clock
from mlplatform.core.env import data_dir, runtime_dir
from mlplatform.core.log_lines import LogLine
from mlplatform.core.logs import LogFenced, log_append, log_end
from mlplatform.core.models import LogStream, NodeKind
from mlplatform.core.nodes import HEARTBEAT_S, node_beat, node_gone
from mlplatform.core.objects import object_store
from mlplatform.core.revisions import revision_value
from mlplatform.core.status import ReplicaStatus

logger = logging.getLogger(__name__)

IDLE_TICK_S = 0.25
BUSY_TICK_S = 0.05
FULL_PASS_EVERY_S = 5.0
TABLE_SWEEP_EVERY_S = 15.0
LOG_FLUSH_EVERY_S = 0.5
SHUTDOWN_GRACE_S = 10.0


@dataclass
class Served:
    """A replica of this host: its row as last read, its process, and what of its log is not stored yet."""

    row: Replica
    output: ReplicaOutput
    log: LogStream
    server: ModelServer | None = None
    n_failures: int = 0
    not_before: float = 0.0
    ready_at: float = 0.0
    draining_since: float = 0.0
    lines: list[LogLine] = field(default_factory=list)
    truncated: bool = False


class Host:
    """Runs the model servers of one machine.

    Args:
        name: Unique among hosts; a restarted host of the same name takes its replicas over again.
        capacity: How many replicas it takes at most.
    """

    def __init__(self, *, name: str, capacity: int = 100) -> None:
        self.name = name
        self._capacity = capacity
        self._started_at = clock.now()
        self._served: dict[int, Served] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="replica")
        self._revision = -1
        self._full_pass_at = 0.0
        self._beat_at = 0.0
        self._flush_at = 0.0
        self._table_sweep_at = 0.0
        self._database_away = False
        self._socket_dir = runtime_dir() / "replicas"
        self._models_dir = data_dir() / "models"

    def run(self) -> None:
        """Runs until `stop`; then ends all model servers and gives their replicas back."""
        self._clear_leftovers()
        logger.info("host %s is ready for replicas", self.name)
        while not self._stopping:
            self._guarded_tick()
            self._wake.wait(BUSY_TICK_S if self._is_busy() else IDLE_TICK_S)
            self._wake.clear()
        self._shut_down()

    def stop(self) -> None:
        """Asks `run` to return; may be called by a signal handler."""
        self._stopping = True
        self._wake.set()

    def tick(self) -> None:
        """One pass: heartbeat, rows if something changed, every replica's next step, logs."""
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat(now)
        revision = revision_value()
        if revision != self._revision or now >= self._full_pass_at:
            self._revision = revision
            self._full_pass_at = now + FULL_PASS_EVERY_S
            self._read_rows()
        for served in list(self._served.values()):
            self._advance(served)
        if now >= self._table_sweep_at:
            self._table_sweep_at = now + TABLE_SWEEP_EVERY_S
            table_run_sweep()
        if now >= self._flush_at:
            self._flush_at = now + LOG_FLUSH_EVERY_S
            self._store_logs()

    def _guarded_tick(self) -> None:
        """The database may be away for a while: model servers go on, and so do we when it is back."""
        try:
            close_old_connections()
            self.tick()
            if self._database_away:
                logger.info("the database is back")
            self._database_away = False
        except DatabaseError as error:
            if not self._database_away:
                logger.warning("the database is away, model servers go on: %s", error)
            self._database_away = True
            self._revision = -1

    def _is_busy(self) -> bool:
        quiet = {ReplicaStatus.IN_SERVICE, ReplicaStatus.FAILED}
        return any(served.row.status not in quiet for served in self._served.values())

    # ---- rows

    def _beat(self, now: float) -> None:
        self._beat_at = now + HEARTBEAT_S
        node_beat(
            kind=NodeKind.HOST,
            name=self.name,
            started_at=self._started_at,
            concurrency=self._capacity,
            info={"replicas": len(self._served)},
        )
        if self._served and rows.replica_renew(host=self.name) != len(self._served):
            self._full_pass_at = now
        for served in self._served.values():
            self._store_memory(served)

    def _read_rows(self) -> None:
        rows.replica_sweep()
        while rollout_steps():
            self._revision = -1
        room = self._capacity - len(self._served)
        if room > 0:
            rows.replica_claim(host=self.name, limit=room)
        mine = {row.pk: row for row in self._my_rows()}
        for replica_id, served in list(self._served.items()):
            if replica_id not in mine:
                self._abandon(served)
        for row in mine.values():
            self._take(row)

    def _my_rows(self) -> list[Replica]:
        return list(
            Replica.objects.filter(host=self.name)
            .exclude(status=ReplicaStatus.GONE)
            .select_related("variant__model", "endpoint", "log")
        )

    def _take(self, row: Replica) -> None:
        served = self._served.get(row.pk)
        if served is None:
            output = ReplicaOutput(
                limit_bytes=settings.MLPLATFORM_LOG_LIMIT_BYTES, used_bytes=row.log.n_bytes
            )
            served = self._served[row.pk] = Served(row, output, row.log)
        if row.status == ReplicaStatus.DRAINING and not served.draining_since:
            served.draining_since = time.monotonic()
        served.row = row

    def _abandon(self, served: Served) -> None:
        """The row was deleted or is another host's: only the process is ours to end."""
        while (step := replica_next(None, served.server.view() if served.server else None)) is not None:
            if step is Step.KILL and served.server is not None:
                served.server.kill("The replica is no longer this host's")
                time.sleep(0.01)
            else:
                self._forget(served)
                return
        self._served.pop(served.row.pk, None)

    # ---- steps

    def _advance(self, served: Served) -> None:
        """Takes all steps of one replica that are possible now."""
        for _ in range(4):
            step = self._next(served)
            if step is None:
                return
            self._take_step(served, step)
            if served.row.pk not in self._served:
                return

    def _next(self, served: Served) -> Step | None:
        now = time.monotonic()
        row = RowView(
            status=ReplicaStatus(served.row.status),
            live=served.row.endpoint.live_id == served.row.variant.config_id,
            draining_s=now - served.draining_since,
            paused=now < served.not_before,
        )
        return replica_next(row, served.server.view() if served.server else None)

    def _take_step(self, served: Served, step: Step) -> None:
        server = served.server
        match step:
            case Step.PREPARE:
                self._prepare(served)
            case Step.MARK_GONE:
                self._mark_gone(served)
            case Step.SPAWN if server:
                self._spawn(served, server)
            case Step.MARK_READY if server:
                self._mark_ready(served, server)
            case Step.TERMINATE if server:
                server.terminate()
            case Step.KILL if server:
                server.kill(self._reason_to_kill(server))
            case Step.RESTART if server and server.end:
                self._restart(served, server.end)
            case Step.FAIL if server and server.end:
                self._fail(served, server.end)

    def _prepare(self, served: Served) -> None:
        if served.row.status != ReplicaStatus.STARTING:
            if not rows.replica_crashed(replica_id=served.row.pk, host=self.name):
                self._revision = -1
                return
            served.row.status = ReplicaStatus.STARTING
        served.server = ModelServer(
            self._spec(served.row), served.output, executor=self._executor, n_failures=served.n_failures
        )
        served.server.prepare(object_store(), wake=self._wake.set)

    def _spec(self, row: Replica) -> ServerSpec:
        instance_type = instance_type_get(row.variant.instance_type)
        model = row.variant.model
        return ServerSpec(
            uid=row.uid,
            algorithm=model.algorithm,
            artifact_uri=model.artifact_uri,
            artifact_sha256=model.artifact_sha256,
            n_threads=min(instance_type.vcpus, cpus_here()),
            memory_limit_bytes=instance_type.memory_limit_bytes,
            folder=self._models_dir / row.uid,
            socket=self._socket_dir / f"{row.uid[:16]}.sock",
            environment=model.environment,
        )

    def _spawn(self, served: Served, server: ModelServer) -> None:
        pid = server.spawn(wake=self._wake.set)
        served.output.note(f"model server started with process id {pid}")
        if not rows.replica_started(replica_id=served.row.pk, host=self.name, pid=pid):
            self._revision = -1

    def _mark_ready(self, served: Served, server: ModelServer) -> None:
        server.ready()
        served.ready_at = time.monotonic()
        address = f"unix:{server.spec.socket}"
        if rows.replica_ready(replica_id=served.row.pk, host=self.name, address=address):
            served.row.status = ReplicaStatus.IN_SERVICE
        self._revision = -1
        self._wake.set()

    def _reason_to_kill(self, server: ModelServer) -> str:
        view = server.view()
        if view.over_memory:
            used, limit = (n / 2**20 for n in (server.memory_bytes, server.spec.memory_limit_bytes))
            return f"OutOfMemory: the model server used {used:,.0f} MiB; its instance type has {limit:,.0f} MiB"
        if view.phase == Phase.LOADING:
            return "The model server did not answer GET /ping within 240 s"
        if view.phase == Phase.READY:
            return "The model server stopped answering GET /ping"
        return "The model server did not end when asked to"

    def _restart(self, served: Served, end: ServerEnd) -> None:
        if served.server and served.server.was_ready and time.monotonic() - served.ready_at > 60:
            served.n_failures = 0
        served.n_failures += 1
        pause = pause_s(served.n_failures)
        served.not_before = time.monotonic() + pause
        served.output.note(f"{end.reason}; starting again in {pause:g} s")
        logger.warning("replica %s: %s; starting again in %g s", served.row, end.reason, pause)
        served.server = None
        if rows.replica_crashed(replica_id=served.row.pk, host=self.name):
            served.row.status = ReplicaStatus.STARTING
        else:
            self._revision = -1

    def _fail(self, served: Served, end: ServerEnd) -> None:
        retried = served.row.endpoint.live_id == served.row.variant.config_id
        failure = {
            "reason": end.reason[:1024],
            "detail": served.output.traceback()[-8000:],
            "log_tail": served.output.tail(),
        }
        served.n_failures += 1
        served.not_before = time.monotonic() + pause_after_failed_s(served.n_failures)
        served.output.note(f"failed to start: {end.reason}")
        logger.warning("replica %s failed to start: %s", served.row, end.reason)
        rows.replica_failed(replica_id=served.row.pk, host=self.name, failure=failure, retried=retried)
        served.row.status = ReplicaStatus.FAILED
        self._revision = -1
        if retried:
            served.server = None
        else:
            self._forget(served)
            log_end(stream=served.log)

    def _mark_gone(self, served: Served) -> None:
        self._store_log(served)
        rows.replica_gone(replica_id=served.row.pk, host=self.name)
        self._revision = -1
        self._forget(served)

    def _forget(self, served: Served) -> None:
        self._store_log(served)
        self._served.pop(served.row.pk, None)
        if served.server is not None:
            served.server.clear()
        else:
            shutil.rmtree(self._models_dir / served.row.uid, ignore_errors=True)

    # ---- what replicas print and use

    def _store_logs(self) -> None:
        for served in self._served.values():
            self._store_log(served)

    def _store_log(self, served: Served) -> None:
        if not served.lines:
            served.lines, served.truncated = served.output.take()
        if not served.lines:
            return
        try:
            log_append(stream=served.log, lines=served.lines, truncated=served.truncated)
        except LogFenced:
            logger.info("the log of replica %s is written by another host", served.row)
        served.lines = []

    def _store_memory(self, served: Served) -> None:
        n_bytes = served.server.memory_bytes if served.server else 0
        if n_bytes and abs(n_bytes - (served.row.memory_bytes or 0)) > 2**20:
            served.row.memory_bytes = n_bytes
            rows.replica_memory(replica_id=served.row.pk, host=self.name, memory_bytes=n_bytes)

    # ---- beginning and end

    def _clear_leftovers(self) -> None:
        """Model servers and folders of an earlier host of this machine; its replicas are started anew."""
        n_killed = leftovers_kill(socket_dir=self._socket_dir)
        if n_killed:
            logger.warning("ended %d model servers that an earlier host had left", n_killed)
        rows.replica_release(host=self.name)
        shutil.rmtree(self._models_dir, ignore_errors=True)
        for folder in (self._socket_dir, self._models_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sockets_remove(self._socket_dir)

    def _shut_down(self) -> None:
        servers = [served.server for served in self._served.values() if served.server]
        for server in servers:
            server.terminate()
        deadline = time.monotonic() + SHUTDOWN_GRACE_S
        while any(server.has_process for server in servers):
            for server in servers:
                server.view()
                if time.monotonic() > deadline:
                    server.kill("The host ended")
            time.sleep(0.02)
        with contextlib.suppress(DatabaseError):
            self._store_logs()
            rows.replica_release(host=self.name)
            node_gone(kind=NodeKind.HOST, name=self.name)
        for server in servers:
            server.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)


def _sockets_remove(folder: Path) -> None:
    for path in folder.glob("*.sock"):
        path.unlink(missing_ok=True)
