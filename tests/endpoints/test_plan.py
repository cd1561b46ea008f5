"""The plan of an endpoint: each rule alone, and any course of events to its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endpoints.plan import (
    Action,
    AddReplica,
    DrainReplica,
    EndpointView,
    Fail,
    MoveReplica,
    ObservedReplica,
    RemoveEndpoint,
    RemoveReplica,
    RollBack,
    Settle,
    SwitchLive,
    WantedConfig,
    WantedVariant,
    endpoint_plan,
)
from mlplatform.core.status import ENDPOINT_TRANSITIONS, EndpointStatus, ReplicaStatus

S, R = EndpointStatus, ReplicaStatus
ONE = WantedConfig(1, (WantedVariant(11, "AllTraffic", 100, "local.cpu", 1),))
OTHER_MODEL = WantedConfig(2, (WantedVariant(21, "AllTraffic", 200, "local.cpu", 1),))
TWO_OF_ONE = WantedConfig(3, (WantedVariant(31, "AllTraffic", 100, "local.cpu", 2),))
PAIR = WantedConfig(
    4,
    (
        WantedVariant(41, "AllTraffic", 100, "local.cpu", 2),
        WantedVariant(42, "Challenger", 200, "local.cpu", 1),
    ),
)


def _replica(number: int, variant: int, status: R, index: int = 0, **more: object) -> ObservedReplica:
    return ObservedReplica(number, variant, index, status, **more)  # type: ignore[arg-type]


def _plan(
    status: S, wanted: WantedConfig, live: WantedConfig | None, *replicas: ObservedReplica
) -> tuple[Action, ...]:
    return endpoint_plan(EndpointView(status, wanted, live, replicas))


def test_a_new_endpoint_gets_its_replicas() -> None:
    assert _plan(S.CREATING, PAIR, None) == (AddReplica(41, 0), AddReplica(41, 1), AddReplica(42, 0))


@pytest.mark.parametrize("status", [R.PENDING, R.STARTING])
def test_nothing_is_done_while_replicas_start(status: R) -> None:
    assert _plan(S.CREATING, ONE, None, _replica(1, 11, status)) == ()


def test_it_is_in_service_when_all_replicas_are() -> None:
    assert _plan(S.CREATING, ONE, None, _replica(1, 11, R.IN_SERVICE)) == (SwitchLive(),)


def test_a_failed_replica_fails_a_new_endpoint() -> None:
    assert _plan(S.CREATING, ONE, None, _replica(1, 11, R.FAILED)) == (Fail(1),)


def test_a_failed_new_endpoint_ends_the_others_and_keeps_the_failed_replica_and_its_log() -> None:
    plan = _plan(S.FAILED, TWO_OF_ONE, None, _replica(1, 31, R.FAILED), _replica(2, 31, R.IN_SERVICE, 1))
    assert plan == (DrainReplica(2),)


def test_the_old_replica_stays_until_the_new_one_is_ready() -> None:
    old, new = _replica(1, 11, R.IN_SERVICE), _replica(2, 21, R.STARTING)
    assert _plan(S.UPDATING, OTHER_MODEL, ONE, old) == (AddReplica(21, 0),)
    assert _plan(S.UPDATING, OTHER_MODEL, ONE, old, new) == ()
    assert _plan(S.UPDATING, OTHER_MODEL, ONE, old, replace(new, status=R.IN_SERVICE)) == (SwitchLive(),)
    assert _plan(S.IN_SERVICE, OTHER_MODEL, OTHER_MODEL, old, replace(new, status=R.IN_SERVICE)) == (
        DrainReplica(1),
    )


def test_replicas_of_an_alike_variant_are_taken_over() -> None:
    running = _replica(1, 11, R.IN_SERVICE)
    assert _plan(S.UPDATING, TWO_OF_ONE, ONE, running) == (AddReplica(31, 1),)
    plan = _plan(S.UPDATING, TWO_OF_ONE, ONE, running, _replica(2, 31, R.IN_SERVICE, 1))
    assert plan == (MoveReplica(1, 31), SwitchLive())


def test_a_lower_count_needs_no_new_process() -> None:
    running = (_replica(1, 31, R.IN_SERVICE), _replica(2, 31, R.IN_SERVICE, 1))
    assert _plan(S.UPDATING, ONE, TWO_OF_ONE, *running) == (MoveReplica(1, 11), SwitchLive())
    moved = (replace(running[0], variant_id=11), running[1])
    assert _plan(S.IN_SERVICE, ONE, ONE, *moved) == (DrainReplica(2),)


def test_another_instance_type_is_not_taken_over() -> None:
    larger = WantedConfig(5, (replace(ONE.variants[0], id=51, instance_type="ml.m5.large"),))
    assert _plan(S.UPDATING, larger, ONE, _replica(1, 11, R.IN_SERVICE)) == (AddReplica(51, 0),)


def test_a_failed_update_rolls_back_and_settles_with_the_failure_kept() -> None:
    old, new = _replica(1, 11, R.IN_SERVICE), _replica(2, 21, R.FAILED)
    assert _plan(S.UPDATING, OTHER_MODEL, ONE, old, new) == (RollBack(2),)
    assert _plan(S.ROLLING_BACK, ONE, ONE, old, new) == (DrainReplica(2),)
    assert _plan(S.ROLLING_BACK, ONE, ONE, old, replace(new, status=R.DRAINING)) == ()
    assert _plan(S.ROLLING_BACK, ONE, ONE, old) == (Settle(keep_failure=True),)


def test_a_missing_replica_is_replaced_and_a_surplus_one_leaves() -> None:
    assert _plan(S.IN_SERVICE, ONE, ONE) == (AddReplica(11, 0),)
    plan = _plan(S.IN_SERVICE, ONE, ONE, _replica(1, 11, R.IN_SERVICE), _replica(2, 11, R.STARTING, 1))
    assert plan == (DrainReplica(2),)


def test_an_endpoint_without_an_answer_for_the_health_window_is_failed_and_comes_back() -> None:
    down = _replica(1, 11, R.STARTING, down_s=25.0)
    assert _plan(S.IN_SERVICE, ONE, ONE, replace(down, down_s=23.0)) == ()
    assert _plan(S.IN_SERVICE, ONE, ONE, down) == (Fail(None),)
    assert _plan(S.IN_SERVICE, ONE, ONE, replace(down, status=R.FAILED)) == (Fail(1),)
    assert _plan(S.FAILED, ONE, ONE, down) == ()
    assert _plan(S.FAILED, ONE, ONE, replace(down, status=R.IN_SERVICE)) == (Settle(keep_failure=False),)


def _elastic(config: WantedConfig, n_replicas: int) -> WantedConfig:
    return replace(
        config, variants=tuple(replace(v, elastic=True, n_replicas=n_replicas) for v in config.variants)
    )


def test_an_elastic_variant_proves_its_model_and_is_then_as_well_without_a_replica() -> None:
    asleep = _elastic(ONE, 0)
    assert _plan(S.CREATING, asleep, None) == (AddReplica(11, 0),)
    assert _plan(S.CREATING, asleep, None, _replica(1, 11, R.FAILED)) == (Fail(1),)
    running = _replica(1, 11, R.IN_SERVICE)
    assert _plan(S.CREATING, asleep, None, running) == (SwitchLive(),)
    assert _plan(S.IN_SERVICE, asleep, asleep, running) == (DrainReplica(1),)
    assert _plan(S.IN_SERVICE, asleep, asleep) == ()


def test_an_elastic_variant_has_the_replicas_that_its_requests_call_for() -> None:
    two = _elastic(ONE, 2)
    running = _replica(1, 11, R.IN_SERVICE)
    assert _plan(S.IN_SERVICE, two, two) == (AddReplica(11, 0), AddReplica(11, 1))
    assert _plan(S.IN_SERVICE, two, two, running) == (AddReplica(11, 1),)
    one = _elastic(ONE, 1)
    assert _plan(S.IN_SERVICE, one, one, running, _replica(2, 11, R.IN_SERVICE, 1)) == (DrainReplica(2),)


def test_an_update_of_an_elastic_variant_that_sleeps_proves_the_new_model_or_rolls_back() -> None:
    old, new = _elastic(ONE, 0), _elastic(OTHER_MODEL, 1)
    assert _plan(S.UPDATING, new, old) == (AddReplica(21, 0),)
    assert _plan(S.UPDATING, new, old, _replica(2, 21, R.IN_SERVICE)) == (SwitchLive(),)
    assert _plan(S.UPDATING, new, old, _replica(2, 21, R.FAILED)) == (RollBack(2),)
    assert _plan(S.ROLLING_BACK, old, old) == (Settle(keep_failure=True),)


def test_other_memory_is_not_taken_over() -> None:
    small, large = (_elastic(replace(ONE, id=n), 1) for n in (1, 2))
    large = replace(large, variants=tuple(replace(v, id=51, memory_mb=2048) for v in large.variants))
    assert _plan(S.UPDATING, large, small, _replica(1, 11, R.IN_SERVICE)) == (AddReplica(51, 0),)


def test_replicas_that_take_small_requests_are_not_taken_over_for_asynchronous_ones() -> None:
    patient = WantedConfig(8, (replace(ONE.variants[0], id=81, patient=True),))
    running = _replica(1, 11, R.IN_SERVICE)
    assert _plan(S.UPDATING, patient, ONE, running) == (AddReplica(81, 0),)


def test_a_start_that_fails_beside_one_that_is_started_again_is_not_yet_the_news() -> None:
    config = WantedConfig(9, (replace(ONE.variants[0], id=91, elastic=True, n_replicas=2),))
    again, failed = _replica(1, 91, R.STARTING, down_s=5), _replica(2, 91, R.FAILED, index=1, down_s=5)
    assert _plan(S.IN_SERVICE, config, config, again, failed) == ()
    assert _plan(S.IN_SERVICE, config, config, replace(again, status=R.FAILED), failed) == (Fail(1),)


def test_a_start_of_an_elastic_variant_that_fails_is_told_and_kept_until_one_succeeds() -> None:
    asleep, wanted = _elastic(ONE, 0), _elastic(ONE, 1)
    failed = _replica(1, 11, R.FAILED)
    assert _plan(S.IN_SERVICE, asleep, asleep, failed) == (Fail(1),)
    assert _plan(S.FAILED, asleep, asleep, failed) == ()
    assert _plan(S.FAILED, wanted, wanted, replace(failed, status=R.STARTING)) == ()
    running = replace(failed, status=R.IN_SERVICE)
    assert _plan(S.FAILED, wanted, wanted, running) == (Settle(keep_failure=False),)


def test_a_cold_start_may_take_as_long_as_requests_wait_for_it() -> None:
    wanted = _elastic(ONE, 1)
    starting = _replica(1, 11, R.STARTING, down_s=59.0)
    assert _plan(S.IN_SERVICE, wanted, wanted, starting) == ()
    assert _plan(S.IN_SERVICE, wanted, wanted, replace(starting, down_s=61.0)) == (Fail(None),)
    asleep = _elastic(ONE, 0)
    assert _plan(S.FAILED, asleep, asleep) == (Settle(keep_failure=False),)


def test_deleting_waits_for_processes_and_then_removes_everything() -> None:
    running, waiting = _replica(1, 11, R.IN_SERVICE), _replica(2, 11, R.PENDING, 1, claimed=False)
    assert _plan(S.DELETING, ONE, ONE, running, waiting) == (DrainReplica(1), RemoveReplica(2))
    assert _plan(S.DELETING, ONE, ONE, replace(running, status=R.DRAINING)) == ()
    ended = replace(running, status=R.GONE)
    assert _plan(S.DELETING, ONE, ONE, ended) == (RemoveReplica(1), RemoveEndpoint())
    assert _plan(S.DELETING, ONE, None) == (RemoveEndpoint(),)


# ---- any course of events


@dataclass
class World:
    """Carries actions out as services.rollout does, and plays the host."""

    view: EndpointView | None
    next_id: int = 1
    visited: list[EndpointStatus] = field(default_factory=list)

    def apply(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            self._apply(action)

    def _apply(self, action: Action) -> None:
        view = self.view
        assert view is not None
        match action:
            case AddReplica(variant_id, index):
                new = ObservedReplica(self.next_id, variant_id, index, R.PENDING, claimed=False)
                self.next_id += 1
                self.view = replace(view, replicas=(*view.replicas, new))
            case DrainReplica(replica_id):
                self.change(replica_id, status=R.DRAINING)
            case MoveReplica(replica_id, variant_id):
                self.change(replica_id, variant_id=variant_id)
            case RemoveReplica(replica_id):
                self.view = replace(view, replicas=tuple(r for r in view.replicas if r.id != replica_id))
            case SwitchLive():
                self.become(S.IN_SERVICE, live=view.wanted)
            case RollBack():
                assert view.live is not None
                self.become(S.ROLLING_BACK, wanted=view.live)
            case Fail():
                self.become(S.FAILED)
            case Settle():
                self.become(S.IN_SERVICE)
            case RemoveEndpoint():
                assert not any(r.claimed and r.status != R.GONE for r in view.replicas), "a process is left"
                self.view = None

    def become(self, status: S, **configs: WantedConfig) -> None:
        assert self.view is not None
        assert status in ENDPOINT_TRANSITIONS[self.view.status], f"{self.view.status} -> {status}"
        self.view = replace(self.view, status=status, **configs)
        self.visited.append(status)

    def change(self, replica_id: int, **values: object) -> None:
        assert self.view is not None
        self.view = replace(
            self.view,
            replicas=tuple(replace(r, **values) if r.id == replica_id else r for r in self.view.replicas),
        )

    def host_turn(self, replica: ObservedReplica, *, well: bool) -> None:
        """What a host does with one replica next: start it, get it ready (or not), end it."""
        if replica.status == R.PENDING:
            self.change(replica.id, status=R.STARTING, claimed=True)
        elif replica.status == R.STARTING:
            self.change(replica.id, status=R.IN_SERVICE if well else R.FAILED, down_s=0.0)
        elif replica.status == R.DRAINING:
            self.change(replica.id, status=R.GONE)
        elif replica.status == R.FAILED and self.view and self.view.live:
            if replica.variant_id in {v.id for v in self.view.live.variants}:
                self.change(replica.id, status=R.STARTING)
        elif replica.status == R.IN_SERVICE and not well:
            self.change(replica.id, status=R.STARTING, down_s=99.0)

    def run_well(self) -> None:
        """Plans and plays a healthy host until nothing changes any more."""
        for _ in range(200):
            if self.view is None:
                return
            before = self.view
            self.apply(endpoint_plan(self.view))
            for replica in self.view.replicas if self.view else ():
                self.host_turn(replica, well=True)
            if self.view == before:
                return
        raise AssertionError("the plan never comes to rest")


def _configs(number: int) -> st.SearchStrategy[WantedConfig]:
    """Each variant ordinary or elastic; one that is elastic is wanted without a replica too."""
    variant = st.tuples(
        st.sampled_from(["A", "B", "C"]), st.sampled_from([100, 200]), st.integers(0, 3), st.booleans()
    )
    return st.lists(variant, min_size=1, max_size=3, unique_by=lambda v: v[0]).map(
        lambda rows: WantedConfig(
            number,
            tuple(
                WantedVariant(
                    number * 10 + i,
                    name,
                    model,
                    "local.cpu",
                    count if elastic else max(1, count),
                    elastic=elastic,
                )
                for i, (name, model, count, elastic) in enumerate(rows)
            ),
        )
    )


def _complete(view: EndpointView, config: WantedConfig) -> bool:
    return all(
        sum(r.ready and r.variant_id == v.id for r in view.replicas) >= v.n_replicas for v in config.variants
    )


_turns = st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60)
_quiet = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_quiet
@given(start=_configs(1), turns=_turns)
def test_from_any_state_a_healthy_host_brings_the_endpoint_in_service_or_leaves_it_failed(
    start: WantedConfig, turns: list[tuple[int, bool]]
) -> None:
    world = World(EndpointView(S.CREATING, start, None, ()))
    _play(world, turns)
    world.run_well()
    assert world.view is not None
    if world.view.live is None:
        assert world.view.status == S.FAILED
        assert all(r.status == R.FAILED for r in world.view.replicas)
        return
    assert world.view.status == S.IN_SERVICE
    assert len(world.view.replicas) == sum(v.n_replicas for v in start.variants)
    assert _complete(world.view, start)


@_quiet
@given(start=_configs(1), then=_configs(2), turns=_turns)
def test_an_update_ends_with_one_whole_configuration_and_no_other_replica(
    start: WantedConfig, then: WantedConfig, turns: list[tuple[int, bool]]
) -> None:
    world = _updating(start, then)
    _play(world, turns)
    world.run_well()
    assert world.view is not None and world.view.live in (start, then)
    assert world.view.status == S.IN_SERVICE
    assert world.view.wanted == world.view.live
    assert len(world.view.replicas) == sum(v.n_replicas for v in world.view.live.variants)
    assert _complete(world.view, world.view.live)


@_quiet
@given(start=_configs(1), then=_configs(2), turns=st.lists(st.integers(0, 20), max_size=80))
def test_while_no_replica_crashes_the_live_configuration_is_whole_at_every_step_of_an_update(
    start: WantedConfig, then: WantedConfig, turns: list[int]
) -> None:
    world = _updating(start, then)
    for turn in turns:
        assert world.view is not None and world.view.live is not None
        for action in endpoint_plan(world.view):
            world.apply((action,))
            if not isinstance(action, MoveReplica):  # moves and the switch are one transaction
                assert _complete(world.view, world.view.live)
        if world.view.replicas:
            world.host_turn(world.view.replicas[turn % len(world.view.replicas)], well=True)
    world.run_well()
    assert world.view is not None and world.view.live == then


@_quiet
@given(start=_configs(1), then=_configs(2), turns=_turns, more=_turns)
def test_a_deleted_endpoint_is_removed_and_never_while_a_process_is_left(
    start: WantedConfig, then: WantedConfig, turns: list[tuple[int, bool]], more: list[tuple[int, bool]]
) -> None:
    world = _updating(start, then)
    _play(world, turns)
    assert world.view is not None
    world.become(S.DELETING)
    _play(world, more)
    world.run_well()
    assert world.view is None


def _updating(start: WantedConfig, then: WantedConfig) -> World:
    world = World(EndpointView(S.CREATING, start, None, ()))
    world.run_well()
    world.become(S.UPDATING, wanted=then)
    return world


def _play(world: World, turns: list[tuple[int, bool]]) -> None:
    for number, well in turns:
        if world.view is None:
            return
        world.apply(endpoint_plan(world.view))
        if world.view and world.view.replicas:
            world.host_turn(world.view.replicas[number % len(world.view.replicas)], well=well)
