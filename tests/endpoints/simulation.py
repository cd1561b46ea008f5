"""Hosts as they are, with model servers that are only played: a world in which anything can end at any time.

The host's loop, its plans, the rollout and every row are the real ones; a `PlayedServer` stands in for the process, and
time passes when the test says so. What must hold is asked after every operation by `World.check`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from endpoints import reconciler, served, sweeping
from endpoints.elastic import Load
from endpoints.gateway.routing import RoutingTable
from endpoints.gateway.tables import load_table
from endpoints.models import Endpoint, EndpointConfig, Model, Replica, ReplicaRun
from endpoints.plan import COLD_MAX_S, DOWN_MAX_S, HEALTH_WINDOW_S
from endpoints.reconciler import Host
from endpoints.replica_plan import Phase, ServerView
from endpoints.replicas import ServerEnd
from endpoints.selectors.endpoints import endpoint_counts, endpoint_get, endpoint_list
from endpoints.services.elastic import is_elastic, loads_write
from endpoints.services.endpoints import (
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_update,
    endpoint_update_weights,
)
from endpoints.services.replica_logs import KEPT_LOGS
from endpoints.sweeping import HostlessSweep
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, InvalidRequest, LimitExceeded, NotFound
from mlplatform.core.models import LogStream, Node
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus, ReplicaStatus
from tests.driven_clock import DrivenClock, clock_driven
from tests.transitions import Transitions, transitions_recorded

TICK_S = 1.0
LOAD_S = 1.0
SILENT_MAX_S = 13.0
"""So long a host takes at most to know of a server that hangs."""
COLD_WINDOW_S = COLD_MAX_S + HEALTH_WINDOW_S - DOWN_MAX_S
"""The health window of elastic variants: requests wait, and so does the judgement."""
_pids = itertools.count(100_000)


class PlayedServer:
    """A model server of the world, with the face of `endpoints.replicas.ModelServer`."""

    world: World

    def __init__(self, spec: Any, output: Any, *, threads: Any, n_failures: int = 0) -> None:
        self.spec = spec
        self.n_failures = n_failures
        self.end: ServerEnd | None = None
        self.was_ready = False
        self.memory_bytes = 0
        self.hangs_since: float | None = None
        self._enter(Phase.PREPARING)
        self.world.servers.append(self)

    # ---- what a host does with it

    def prepare(self, store: Any, *, wake: Callable[[], None]) -> None:
        self.spec.folder.mkdir(parents=True, exist_ok=True)

    def give_up(self) -> None:
        """Nothing is prepared that would take long."""

    def spawn(self, *, wake: Callable[[], None]) -> int:
        self._enter(Phase.LOADING)
        return next(_pids)

    def ready(self) -> None:
        self.was_ready = True
        self._enter(Phase.READY)

    def terminate(self) -> None:
        assert self.has_process, f"a server that is {self.phase} cannot be asked to end"
        self._enter(Phase.STOPPING)

    def kill(self, because: str) -> None:
        self.dies(because, explained=not self.was_ready)

    def destroy(self) -> None:
        self.dies("destroyed")

    def clear(self) -> None:
        self.world.forget(self)

    @property
    def has_process(self) -> bool:
        return self.phase in {Phase.LOADING, Phase.READY, Phase.STOPPING}

    def view(self) -> ServerView:
        self._go_on()
        return ServerView(
            phase=self.phase,
            in_phase_s=self.world.clock.monotonic_s - self.entered_at,
            answers=self.phase == Phase.LOADING and self.answers,
            missed_pings=3 if self._silent_s() > SILENT_MAX_S else 0,
            was_ready=self.was_ready,
            broken=self.end is not None and self.end.explained,
            n_failures=self.n_failures,
        )

    # ---- what happens to it

    @property
    def address(self) -> str:
        return str(self.spec.socket)

    @property
    def answers(self) -> bool:
        """Whether a request that comes now is answered."""
        in_time = self.phase == Phase.READY or self._in_phase_s() >= LOAD_S
        return self.has_process and self.hangs_since is None and in_time

    def dies(self, because: str, *, explained: bool = False) -> None:
        if self.end is None:
            self.end = ServerEnd(because, -9, explained, silent_s=self._silent_s())
            self._enter(Phase.ENDED)

    def hangs(self) -> None:
        self.hangs_since = self.world.clock.monotonic_s

    def _go_on(self) -> None:
        if self.phase == Phase.PREPARING:
            self._enter(Phase.PREPARED)
        elif self.phase == Phase.LOADING and self.spec.artifact_uri in self.world.broken:
            self.dies("ModelError: broken", explained=True)
        elif self.phase == Phase.STOPPING and self.hangs_since is None:
            self.dies("ended")

    def _enter(self, phase: Phase) -> None:
        self.phase, self.entered_at = phase, self.world.clock.monotonic_s

    def _in_phase_s(self) -> float:
        return self.world.clock.monotonic_s - self.entered_at

    def _silent_s(self) -> float:
        return 0.0 if self.hangs_since is None else self.world.clock.monotonic_s - self.hangs_since


@dataclass
class World:
    """Two machines, a scheduler, two projects' endpoints. A host is absent, at work, or stopped by a signal."""

    alice: Actor
    charlie: Actor
    clock: DrivenClock
    transitions: Transitions
    folder: Path
    models: list[Model]
    hosts: dict[str, Host] = field(default_factory=dict)
    asleep: set[str] = field(default_factory=set)
    servers: list[PlayedServer] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    mute_since: dict[int, float] = field(default_factory=dict)
    hostless: HostlessSweep = field(default_factory=HostlessSweep)
    _table: RoutingTable | None = None

    # ---- people

    def create(self, actor: Actor, name: str, variants: list[VariantRequest]) -> None:
        refused = _refused(lambda: endpoint_create(actor=actor, name=name, variants=variants))
        assert refused is None or isinstance(refused, Conflict | LimitExceeded), refused

    def update(self, actor: Actor, name: str, variants: list[VariantRequest]) -> None:
        _refused(lambda: endpoint_update(actor=actor, name=name, variants=variants))

    def scale(self, actor: Actor, name: str, count: int) -> None:
        _refused(lambda: endpoint_update_weights(actor=actor, name=name, counts={"AllTraffic": count}))

    def delete(self, actor: Actor, name: str) -> None:
        found = Endpoint.objects.filter(project=actor.project, name=name).first()
        refused = _refused(lambda: endpoint_delete(actor=actor, name=name))
        if refused is None and found is not None:
            left = Endpoint.objects.filter(pk=found.pk).first()
            assert left is None or left.status == EndpointStatus.DELETING
            assert found.pk not in {route.endpoint_id for route in self.routes()}, "deleted and still routed"

    def request(self, actor: Actor, name: str) -> None:
        """Somebody asks: a gateway says so of each elastic variant, and that he waits where nobody answers."""
        answering = {server.address for server in self.servers if server.answers}
        now = clock.now().timestamp()
        loads = [
            Load(variant.elastic.variant_id, 1, now, None if _answers(variant, answering) else now)
            for route in self.routes()
            if (route.project, route.endpoint_name) == (actor.project.name, name)
            for variant in route.variants
            if variant.elastic is not None
        ]
        loads_write(loads=loads)

    # ---- machines

    def scheduler_has_long_run(self) -> None:
        """Right after its start it would give hosts, which may be starting too, a time of its own."""
        self.hostless()
        self.clock.go_on(2 * HEALTH_WINDOW_S)

    def start(self, name: str) -> None:
        """A host begins on its machine; one that ran there before has died with its model servers."""
        self.die(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLPLATFORM_DATA_DIR", str(self.folder / name))
            host = self.hosts[name] = Host(name=name)
        host.wait = self.clock.go_on  # type: ignore[method-assign]
        host.begin()

    def die(self, name: str) -> None:
        """SIGKILL: the kernel ends its children with it."""
        host = self.hosts.pop(name, None)
        self.asleep.discard(name)
        for server in [server for server in self.servers if host and _is_of(server, host)]:
            server.dies("its host died")
            self.forget(server)
        if host is not None:
            host._place.threads.close()

    def end(self, name: str) -> None:
        """SIGTERM: it gives everything back."""
        if name in self.hosts and name not in self.asleep:
            host = self.hosts.pop(name)
            host.end()
            for server in [server for server in self.servers if _is_of(server, host)]:
                self.forget(server)

    def forget(self, server: PlayedServer) -> None:
        if server in self.servers:
            self.servers.remove(server)

    def tick(self, name: str) -> None:
        if name in self.hosts and name not in self.asleep:
            self.hosts[name].tick()

    def go_on(self, seconds: float) -> None:
        """Time passes; hosts that are awake and the scheduler do their turns."""
        for _ in range(max(1, int(seconds / TICK_S))):
            self.clock.go_on(TICK_S)
            for name in list(self.hosts):
                self.tick(name)
            self.hostless()
            self.watch()

    # ---- what must hold

    def routes(self) -> list[Any]:
        """What a gateway knows that asks now."""
        newer = load_table(self._table.version if self._table else None)
        self._table = newer or self._table
        assert self._table is not None
        return list(self._table.routes)

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock; the health window begins anew then."""
        self.clock.jump(seconds)
        self.mute_since = dict.fromkeys(self.mute_since, self.clock.monotonic_s)

    def watch(self) -> None:
        """An endpoint that is InService answers, or is InService no longer when the health window is over."""
        answering = {server.address for server in self.servers if server.answers}
        now = self.clock.monotonic_s
        in_service = set()
        for route in self.routes():
            if route.status != EndpointStatus.IN_SERVICE:
                continue
            in_service.add(route.endpoint_id)
            mute = [v for v in route.variants if v.weight > 0 and not _is_well(v, answering)]
            if not mute:
                self.mute_since.pop(route.endpoint_id, None)
                continue
            since = self.mute_since.setdefault(route.endpoint_id, now)
            window_s = COLD_WINDOW_S if all(variant.elastic for variant in mute) else HEALTH_WINDOW_S
            assert now - since <= window_s, f"{route.endpoint_name} is InService, mute for {now - since} s"
        for endpoint_id in set(self.mute_since) - in_service:
            del self.mute_since[endpoint_id]

    def check(self) -> None:
        assert not self.transitions.illegal()
        routed = [str(a) for route in self.routes() for v in route.variants for a in v.replicas]
        assert len(set(routed)) == len(routed), "one server is routed twice"
        for replica in Replica.objects.select_related("endpoint"):
            if replica.address:
                assert replica.status == ReplicaStatus.IN_SERVICE, replica.status
                assert replica.endpoint.status != EndpointStatus.DELETING
                if replica.host in self.hosts:
                    assert str(self.hosts[replica.host]._place.socket_dir) in replica.address, (
                        "another host's"
                    )
            assert bool(replica.host) == (replica.status not in {"Pending", "Gone"}) or (
                replica.status == "Failed" and not replica.host
            ), f"{replica.status} of {replica.host!r}"
        for host in self.hosts.values():
            mine = [server.spec.uid for server in self.servers if server.has_process and _is_of(server, host)]
            assert len(set(mine)) == len(mine), "two processes for one replica on one host"
        self._check_projects()

    def _check_projects(self) -> None:
        for actor, other in ((self.alice, self.charlie), (self.charlie, self.alice)):
            mine = set(Endpoint.objects.filter(project=actor.project).values_list("name", flat=True))
            assert {row.name for row in endpoint_list(actor=actor).items} == mine
            assert sum(endpoint_counts(actor=actor).values()) == len(mine)
            for name in Endpoint.objects.filter(project=other.project).values_list("name", flat=True):
                seen = _refused(lambda: endpoint_get(actor=actor, name=name))  # noqa: B023
                assert (seen is None) == (name in mine)

    def come_to_rest(self) -> None:
        """Faults stop: machines are up, models load. Then everything is InService or gone, and nothing is left over."""
        self.broken.clear()
        for name in list(self.hosts):
            self.die(name)
        for name in ("a", "b"):
            self.start(name)
        for _ in range(30):
            self.go_on(10)
            self.check()
            if self._at_rest():
                break
        assert self._at_rest(), list(Endpoint.objects.values_list("name", "status", "replicas__status"))
        ready = {
            replica.address.removeprefix("unix:") for replica in Replica.objects.filter(status="InService")
        }
        assert {server.address for server in self.servers if server.has_process} == ready
        used = Endpoint.objects.values_list("wanted_id", "live_id")
        assert set(EndpointConfig.objects.values_list("pk", flat=True)) == {
            config for pair in used for config in pair if config
        }
        logs_of_gone = LogStream.objects.filter(replica=None)
        assert set(logs_of_gone.values_list("uid", flat=True)) <= set(
            ReplicaRun.objects.exclude(endpoint=None).values_list("replica_uid", flat=True)
        )
        assert logs_of_gone.count() <= KEPT_LOGS * Endpoint.objects.count()
        living = set(ReplicaRun.objects.filter(ended_at=None).values_list("replica_uid", flat=True))
        assert living == set(Replica.objects.filter(status="InService").values_list("uid", flat=True))

    def _at_rest(self) -> bool:
        """One that never came into service and failed waits for a person; everything else serves what is wanted, and
        elastic variants sleep.
        """
        for endpoint in Endpoint.objects.prefetch_related("wanted__variants", "replicas"):
            if endpoint.status == EndpointStatus.FAILED and endpoint.live_id is None:
                continue
            variants = endpoint.wanted.variants.all()
            wanted = sum(0 if is_elastic(variant) else variant.instance_count for variant in variants)
            ready = sum(replica.status == ReplicaStatus.IN_SERVICE for replica in endpoint.replicas.all())
            if endpoint.status != EndpointStatus.IN_SERVICE or endpoint.live_id != endpoint.wanted_id:
                return False
            if (ready, endpoint.replicas.count()) != (wanted, wanted):
                return False
        return True

    def close(self) -> None:
        for name in list(self.hosts):
            self.die(name)
        ReplicaRun.objects.all().delete()
        Replica.objects.all().delete()
        Endpoint.objects.all().delete()
        EndpointConfig.objects.all().delete()
        LogStream.objects.all().delete()
        Node.objects.all().delete()
        self.transitions.forget()


@contextmanager
def played_servers() -> Iterator[tuple[DrivenClock, Transitions]]:
    """Model servers are played and time is driven until the end of the block."""
    with (
        clock_driven(served, reconciler, sweeping, clock) as driven,
        transitions_recorded() as transitions,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(served, "ModelServer", PlayedServer)
        yield driven, transitions


def _is_of(server: PlayedServer, host: Host) -> bool:
    return server.spec.folder.parent == host._place.models_dir


def _answers(variant: Any, answering: set[str]) -> bool:
    return any(str(address.path) in answering for address in variant.replicas)


def _is_well(variant: Any, answering: set[str]) -> bool:
    """It answers, or is asleep and nobody asks it."""
    asleep = variant.elastic is not None and variant.elastic.n_wanted == 0
    return asleep or _answers(variant, answering)


def _refused(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except (Conflict, NotFound, LimitExceeded, InvalidRequest) as error:
        return error
    return None
