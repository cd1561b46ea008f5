"""The host's loop: compares the replicas it is to run with the model servers that run, and acts until they
agree.

Level-triggered: every pass looks at what is, never at what happened, so a lost wake-up or a restart changes
nothing. What to do is decided by `plan` (endpoints) and `replica_plan` (replicas) and done by
`services.rollout` and `served`. Called by `manage.py host`, on its main thread.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from django.db import Error as DatabaseFault
from django.db import close_old_connections

from endpoints.asleep_models import asleep_variant
from endpoints.models import ProductionVariant, Replica
from endpoints.relay.place import relay_info
from endpoints.replicas import GROUP_PREFIX, ServerThreads, leftovers_kill
from endpoints.served import HostPlace, ServedReplica
from endpoints.services import replicas as rows
from endpoints.services.elastic import idle_sweep
from endpoints.services.lease_sweeps import LeaseSweeps
from endpoints.services.placement import LEAVE_S, Placement
from endpoints.services.replica_runs import SEEN_EVERY_S, runs_seen
from endpoints.services.rollout import rollout_steps
from endpoints.wake import host_wake_socket
from jobs.runner.control_groups import control_groups_clear, control_groups_found
from jobs.runner.isolation import isolation
from mlplatform.core import clock
from mlplatform.core.env import data_dir, runtime_dir
from mlplatform.core.models import NodeKind
from mlplatform.core.node_start import ClockTold
from mlplatform.core.nodes import HEARTBEAT_S, NodeTaken, node_beat, node_gone
from mlplatform.core.revisions import revision_look_s, revision_value
from mlplatform.core.status import ReplicaStatus

logger = logging.getLogger(__name__)

BUSY_TICK_S = 0.05
FULL_PASS_EVERY_S = 5.0
LOG_FLUSH_EVERY_S = 0.5
SHUTDOWN_GRACE_S = 10.0
_ROLLOUT_ROUNDS = 20
_UNKNOWN_REVISION = -1
_IDLE_LATE_S = 0.02


class Host:
    """Runs the model servers of one machine.

    Args:
        name: Unique among hosts; a restarted host of the same name takes its replicas over again.
        queues: It takes replicas of instance types that need one of these.
        capacity: How many replicas it takes at most.
    """

    def __init__(self, *, name: str, queues: Sequence[str] = ("cpu",), capacity: int = 100) -> None:
        self.name = name
        self._queues = list(queues)
        self._capacity = capacity
        self._started_at = clock.now()
        self._served: dict[int, ServedReplica] = {}
        self._leases = LeaseSweeps()
        self._wake = threading.Event()
        self._stopping = False
        self._revision = _UNKNOWN_REVISION
        self._full_pass_at = self._beat_at = self._flush_at = self._sweep_from = self._seen_at = 0.0
        self._clock_watch = clock.ClockWatch()
        self._clock_told = ClockTold()
        self._placement = Placement(name)
        self._database_away = False
        self._place = HostPlace(
            name=name,
            models_dir=data_dir() / "models",
            socket_dir=runtime_dir() / "replicas",
            threads=ServerThreads(),
            wake=self._wake.set,
        )

    def run(self) -> None:
        """Runs until `stop`; then ends all model servers and gives their replicas back."""
        self.begin()
        threading.Thread(target=self._wake_when_told, name="wake", daemon=True).start()
        logger.info("host %s is ready for replicas of %s", self.name, ", ".join(self._queues))
        try:
            was_woken = False
            while not self._stopping:
                self._guarded_tick()
                # What woke us may not have been quite over: a model server closes its output before it is gone.
                was_woken = self.wait(BUSY_TICK_S if was_woken or self._is_busy() else self._idle_s())
        except NodeTaken:
            self._give_up()
            raise
        self.end()

    def stop(self) -> None:
        """Asks `run` to return; may be called by a signal handler."""
        self._stopping = True
        self._wake.set()

    def wait(self, timeout_s: float) -> bool:
        """Waits until somebody has something to tell, at most so long; whether somebody had."""
        was_woken = self._wake.wait(timeout_s)
        self._wake.clear()
        return was_woken

    def _wake_when_told(self) -> None:
        """Processes of this machine say when requests wait or rows have changed, or that waits for the next tick."""
        with host_wake_socket() as listener:
            while not self._stopping:
                listener.recv(1)
                self._wake.set()

    def begin(self) -> None:
        """Ends model servers and removes folders that an earlier host of this machine left; its replicas are
        started anew, from what is laid out of their models.
        """
        n_killed = leftovers_kill(socket_dir=self._place.socket_dir)
        if n_killed:
            logger.warning("ended %d model servers that an earlier host had left", n_killed)
        control_groups_clear(names=control_groups_found(prefix=GROUP_PREFIX))
        rows.replica_release(host=self.name)
        shutil.rmtree(self._place.socket_dir, ignore_errors=True)
        for folder in (self._place.socket_dir, self._place.models_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _models_clear(self._place.models_dir)

    def tick(self) -> None:
        """One pass: heartbeat, rows if something changed, every replica's next steps, logs."""
        now = time.monotonic()
        if self._clock_watch.jumped():
            self._full_pass_at = self._beat_at = 0.0
            self._spare_leases()
        if now >= self._beat_at:
            self._beat(now)
        if self._is_busy():  # a process that can be started now need not wait for what is new
            self._advance()
        revision = revision_value()
        if now >= self._full_pass_at:
            self._full_pass_at = now + FULL_PASS_EVERY_S
            self._sweep()
            self._revision = _UNKNOWN_REVISION
        if revision != self._revision:
            self._revision = revision
            self._full_pass()
        self._advance()
        if now >= self._flush_at:
            self._flush_at = now + LOG_FLUSH_EVERY_S
            for served in self._served.values():
                served.store_log()

    def end(self) -> None:
        """Asks all model servers to end, waits for them, and gives the replicas to the next host."""
        servers = [served.server for served in self._served.values() if served.server]
        running = [server for server in servers if server.has_process]
        for server in running:
            server.terminate()
        deadline = time.monotonic() + SHUTDOWN_GRACE_S
        while any(server.has_process for server in running):
            for server in running:
                server.view()
                if time.monotonic() > deadline:
                    server.kill("The host ended")
            self.wait(0.02)
        with contextlib.suppress(DatabaseFault):
            for served in self._served.values():
                served.store_log()
            rows.replica_release(host=self.name, planned=True)
            node_gone(kind=NodeKind.HOST, name=self.name)
        for server in servers:
            server.clear()
        self._place.threads.close()

    def _give_up(self) -> None:
        """Another host has our name, and with it our rows: our processes end, and no row is touched."""
        servers = [served.server for served in self._served.values() if served.server]
        for server in servers:
            server.destroy()
            server.clear()
        self._place.threads.close()

    def _guarded_tick(self) -> None:
        """The database may be away for a while: model servers go on, and so do we when it is back."""
        try:
            self.tick()
            if self._database_away:
                logger.info("the database is back")
            self._database_away = False
        except DatabaseFault as error:
            if not self._database_away:
                logger.warning("the database is away, model servers go on: %s", error)
            self._database_away = True
            self._spare_leases()
            self._revision = _UNKNOWN_REVISION
            close_old_connections()

    def _spare_leases(self) -> None:
        """No host could renew its leases, or all look old since the clock was set: first each has the time to do so."""
        self._sweep_from = time.monotonic() + rows.LEASE_S

    def _is_busy(self) -> bool:
        return any(served.is_busy for served in self._served.values())

    def _idle_s(self) -> float:
        """Until there is something to do though nobody tells of anything."""
        passes_in_s = self._full_pass_at - time.monotonic()
        due_in_s = min((served.next_look_s for served in self._served.values()), default=passes_in_s)
        return min(revision_look_s(), max(BUSY_TICK_S, min(due_in_s, passes_in_s)))

    def _beat(self, now: float) -> None:
        close_old_connections()
        node = node_beat(
            kind=NodeKind.HOST,
            name=self.name,
            started_at=self._started_at,
            queues=self._queues,
            concurrency=self._capacity,
            info={"replicas": len(self._served), **relay_info(), **isolation().report()},
        )
        if self._clock_told.is_off(node):
            self._spare_leases()
        if self._served and rows.replica_renew(host=self.name) != len(self._served):
            self._revision = _UNKNOWN_REVISION
        for served in self._served.values():
            served.store_memory()
        if now >= self._seen_at:
            self._seen_at = now + SEEN_EVERY_S
            runs_seen(replica_ids=[pk for pk, served in self._served.items() if served.has_process])
        self._beat_at = now + HEARTBEAT_S

    def _sweep(self) -> None:
        """What time alone brings about."""
        rows.replica_instants_mend()
        if time.monotonic() >= self._sweep_from:
            self._leases()
        next_idle_s = idle_sweep()
        if next_idle_s is not None:
            self._full_pass_at = min(self._full_pass_at, time.monotonic() + next_idle_s + _IDLE_LATE_S)

    def _full_pass(self) -> None:
        """Every endpoint's next steps, and which replicas are ours."""
        for _ in range(_ROLLOUT_ROUNDS):
            if not rollout_steps():
                break
            self._revision = _UNKNOWN_REVISION
        room = self._capacity - len(self._served)
        left = self._placement.left_to_others() if room > 0 else None
        if left is not None:
            rows.replica_claim(host=self.name, queues=self._queues, limit=room, left_to_others=left)
            if left:
                self._full_pass_at = min(self._full_pass_at, time.monotonic() + LEAVE_S)
        mine = {row.pk: row for row in self._my_rows()}
        for replica_id, served in self._served.items():
            if replica_id not in mine:
                served.disown()
        for replica_id, row in mine.items():
            if replica_id not in self._served:
                self._served[replica_id] = ServedReplica(row, self._place)
            self._served[replica_id].adopt(row)

    def _my_rows(self) -> list[Replica]:
        return list(
            Replica.objects.filter(host=self.name)
            .exclude(status=ReplicaStatus.GONE)
            .select_related("variant__model", "endpoint", "log")
        )

    def _advance(self) -> None:
        for replica_id, served in list(self._served.items()):
            served.advance()
            if served.over:
                del self._served[replica_id]
            if served.changed:
                served.changed = False
                self._revision = _UNKNOWN_REVISION
                self._wake.set()


def _models_clear(folder: Path) -> None:
    """Removes what is laid out for replicas that are no more."""
    kept = set(Replica.objects.exclude(status=ReplicaStatus.GONE).values_list("uid", flat=True))
    elastic = set(ProductionVariant.objects.exclude(idle_after_s=None).values_list("pk", flat=True))
    for path in folder.iterdir():
        if path.name not in kept and asleep_variant(path) not in elastic:
            shutil.rmtree(path, ignore_errors=True)
