"""Whatever happens to endpoints, hosts and model servers, in any order: the promises hold, and it all settles.

What is real and what is played is in `simulation`. Longer, with new courses each time: see `tests.profiles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from endpoints.models import Model
from endpoints.services.endpoints import ServerlessRequest, VariantRequest
from mlplatform.core import clock
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor
from tests.endpoints.simulation import PlayedServer, World, played_servers
from tests.jobs.training.life import interrupted_by
from tests.profiles import machine_settings

HOSTS = ["a", "b"]
NAMES = ["one", "two"]
JUMPS_S = [-86400, -60, -10, 10, 25, 60, 86400]
SERVERLESS = ServerlessRequest(memory_mb=1024, max_concurrency=2, idle_after_s=20)
any_of = st.integers(0, 999)


def _model(actor: Actor, name: str) -> Model:
    return Model.objects.create(
        project=actor.project,
        name=name,
        uid=uid_new(),
        algorithm="knn",
        artifact_uri=uri(actor.project.bucket, f"models/{name}/model.tar.gz"),
        artifact_bytes=1,
        manifest={"n_features": 4},
        created_by=actor.user,
        created_at=clock.now(),
    )


@pytest.fixture
def world(transactional_db: None, alice: Actor, charlie: Actor, tmp_path: Path) -> Iterator[World]:
    models = [_model(actor, name) for actor in (alice, charlie) for name in ("good", "other")]
    with played_servers() as (driven, transitions):
        yield World(alice, charlie, driven, transitions, tmp_path, models)


def test_whatever_happens_to_endpoints_the_promises_hold_and_all_settle(world: World) -> None:
    class Endpoints(EndpointMachine):
        stage = world

    run_state_machine_as_test(Endpoints, settings=machine_settings(n_examples=25, n_steps=20))


class EndpointMachine(RuleBasedStateMachine):
    """One step is one operation, or two of which the second comes in between, or a stretch of time."""

    stage: World

    @initialize()
    def begin(self) -> None:
        stage = self.stage
        self.world = PlayedServer.world = World(
            stage.alice, stage.charlie, stage.clock, stage.transitions, stage.folder, stage.models
        )
        self.world.scheduler_has_long_run()
        self.world.start("a")
        self.world.create(stage.alice, "one", [VariantRequest(model="good")])
        self.world.go_on(3)
        self.world.check()

    # ---- people

    @rule(who=any_of, name=st.sampled_from(NAMES), model=any_of, count=st.integers(1, 2))
    def create(self, who: int, name: str, model: int, count: int) -> None:
        self.world.create(self.actor(who), name, self.variants(model, count))

    @rule(who=any_of, name=st.sampled_from(NAMES), model=any_of, count=st.integers(1, 2))
    def update(self, who: int, name: str, model: int, count: int) -> None:
        self.world.update(self.actor(who), name, self.variants(model, count))

    @rule(who=any_of, name=st.sampled_from(NAMES), count=st.integers(1, 3))
    def scale(self, who: int, name: str, count: int) -> None:
        self.world.scale(self.actor(who), name, count)

    @rule(who=any_of, name=st.sampled_from(NAMES))
    def delete(self, who: int, name: str) -> None:
        self.world.delete(self.actor(who), name)

    @rule(who=any_of, name=st.sampled_from(NAMES))
    def request(self, who: int, name: str) -> None:
        self.world.request(self.actor(who), name)

    # ---- faults

    @precondition(lambda self: self.world.servers)
    @rule(n=any_of)
    def server_dies(self, n: int) -> None:
        self.server(n).dies("killed from outside")

    @precondition(lambda self: self.world.servers)
    @rule(n=any_of)
    def server_hangs(self, n: int) -> None:
        self.server(n).hangs()

    @rule(n=any_of)
    def a_model_breaks(self, n: int) -> None:
        self.world.broken.add(self.world.models[n % len(self.world.models)].artifact_uri)

    @rule()
    def models_are_mended(self) -> None:
        self.world.broken.clear()

    @rule(name=st.sampled_from(HOSTS))
    def host_starts(self, name: str) -> None:
        self.world.start(name)

    @rule(name=st.sampled_from(HOSTS))
    def host_dies(self, name: str) -> None:
        self.world.die(name)

    @rule(name=st.sampled_from(HOSTS))
    def host_ends(self, name: str) -> None:
        self.world.end(name)

    @precondition(lambda self: self.world.hosts)
    @rule(n=any_of)
    def host_falls_asleep_or_wakes(self, n: int) -> None:
        name = list(self.world.hosts)[n % len(self.world.hosts)]
        self.world.asleep ^= {name}

    @rule(name=st.sampled_from(HOSTS), seconds=st.sampled_from([21, 30]))
    def host_sleeps_through_its_lease_and_wakes_late(self, name: str, seconds: int) -> None:
        other = HOSTS[name == "a"]
        for host in HOSTS:
            if host not in self.world.hosts:
                self.world.start(host)
        self.world.asleep = {name}
        self.world.go_on(seconds)
        self.world.asleep.clear()
        self.world.tick(name)
        self.world.check()
        self.world.tick(other)

    @rule(seconds=st.sampled_from(JUMPS_S))
    def clock_jumps(self, seconds: int) -> None:
        self.world.jump(seconds)

    # ---- time, and one in the middle of the other

    @rule(seconds=st.sampled_from([1, 3, 10, 35]))
    def time_passes(self, seconds: float) -> None:
        self.world.go_on(seconds)

    @rule(first=any_of, which=any_of, n=any_of, after=st.integers(0, 9))
    def two_at_once(self, first: int, which: int, n: int, after: int) -> None:
        with interrupted_by(lambda: self.any_operation(which, n), after=after):
            self.any_operation(first, n + 1)

    def any_operation(self, which: int, n: int) -> None:
        who, name = self.actor(n), NAMES[n // 2 % 2]
        operations: list[Callable[[], object]] = [
            lambda: self.world.tick("a"),
            lambda: self.world.tick("b"),
            lambda: self.world.delete(who, name),
            lambda: self.world.create(who, name, self.variants(n, 1)),
            lambda: self.world.update(who, name, self.variants(n + 1, 1)),
            lambda: self.world.scale(who, name, 2),
            lambda: self.world.request(who, name),
        ]
        operations[which % len(operations)]()

    # ---- always

    @invariant()
    def promises(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.world.come_to_rest()
        finally:
            if hasattr(self, "world"):
                self.world.close()

    def actor(self, n: int) -> Actor:
        return self.world.charlie if n % 4 == 3 else self.world.alice

    def variants(self, n: int, count: int) -> list[VariantRequest]:
        """On instances, on instances with an idle time, or serverless."""
        model = ("good", "other")[n % 2]
        if n % 3 == 1:
            return [VariantRequest(model=model, serverless=SERVERLESS)]
        return [VariantRequest(model=model, instance_count=count, idle_after_s=20 if n % 3 == 2 else None)]

    def server(self, n: int) -> PlayedServer:
        return self.world.servers[n % len(self.world.servers)]


def test_an_endpoint_whose_model_broke_leaves_service_within_the_window_though_the_clock_was_set_back(
    world: World,
) -> None:
    PlayedServer.world = world
    world.scheduler_has_long_run()
    world.start("a")
    world.create(world.alice, "one", [VariantRequest(model="good")])
    world.go_on(5)
    assert [route.status for route in world.routes()] == ["InService"]
    world.broken.add(world.models[0].artifact_uri)
    world.servers[0].dies("killed from outside")
    world.go_on(1)
    world.jump(-86400)
    world.go_on(35)
    assert [route.status for route in world.routes()] == ["Failed"]
    world.come_to_rest()


def test_a_serverless_endpoint_comes_through_a_clock_that_is_set_back(world: World) -> None:
    PlayedServer.world = world
    world.scheduler_has_long_run()
    world.start("a")
    world.create(world.alice, "one", [VariantRequest(model="good", serverless=SERVERLESS)])
    world.go_on(5)
    assert len(world.servers) == 1
    world.jump(-86400)
    world.go_on(30)
    assert not world.servers, "it would never have slept"
    world.broken.add(world.models[0].artifact_uri)
    world.request(world.alice, "one")
    world.go_on(3)
    assert [route.status for route in world.routes()] == ["Failed"]
    world.broken.clear()
    world.jump(-86400)
    world.go_on(40)
    world.request(world.alice, "one")
    world.go_on(3)
    assert [route.status for route in world.routes()] == ["InService"]
    world.come_to_rest()
    assert not world.servers
