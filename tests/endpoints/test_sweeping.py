"""What the scheduler does for endpoints while no host is alive, and when it leaves them alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from endpoints import sweeping
from endpoints.models import Endpoint, Model, Replica
from endpoints.plan import HEALTH_WINDOW_S
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.replicas import (
    LEASE_S,
    replica_claim,
    replica_crashed,
    replica_failed,
    replica_ready,
)
from endpoints.services.rollout import rollout_steps
from endpoints.sweeping import HostlessSweep
from mlplatform.core import clock
from mlplatform.core.keeping.lease_sweeps import lease_sweeps_run
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    """InService on a replica of host `a`."""
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    (replica,) = replica_claim(host="a")
    assert replica_ready(replica_id=replica.pk, host="a", address="unix:/a.sock")
    rollout_steps()
    created.refresh_from_db()
    assert created.status == "InService"
    return created


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> HostlessSweep:
    """As of a scheduler that has run for longer than the health window."""
    made = HostlessSweep()
    made()
    assert made._first_at is not None
    made._first_at -= HEALTH_WINDOW_S + 1
    return made


def test_whatever_characters_a_model_server_fails_with_its_host_goes_on(endpoint: Endpoint) -> None:
    """Postgres takes no NUL: the host would take the refusal for a database that is away, and serve nobody."""
    replica = Replica.objects.get()
    failure = {"reason": "a\0b", "said": None, "detail": "\udcff", "log_tail": ["\0"]}
    assert replica_failed(replica_id=replica.pk, host="a", failure=failure, retried=True)
    replica.refresh_from_db()
    assert replica.failure == {"reason": "a\ufffdb", "said": None, "detail": "\ufffd", "log_tail": ["\ufffd"]}


def _host_was_silent_for(seconds: float) -> None:
    Replica.objects.update(lease_expires_at=clock.now() + timedelta(seconds=LEASE_S - seconds))


def test_an_endpoint_of_a_dead_host_fails_within_the_window_since_its_last_sign_of_life(
    endpoint: Endpoint, sweep: HostlessSweep
) -> None:
    _host_was_silent_for(LEASE_S - 1)
    sweep()
    assert Replica.objects.get().status == "InService", "its lease has not run out"
    _host_was_silent_for(LEASE_S + 1)
    sweep()
    replica = Replica.objects.get()
    assert (replica.status, replica.address, replica.host) == ("Pending", "", "")
    assert replica.ended_at is not None
    silent_s = (clock.now() - replica.ended_at).total_seconds()
    assert silent_s == pytest.approx(LEASE_S + 1, abs=5)
    endpoint.refresh_from_db()
    assert endpoint.status == "InService", "the window is not over"
    Replica.objects.update(ended_at=clock.now() - timedelta(seconds=25))
    sweep()
    endpoint.refresh_from_db()
    assert endpoint.status == "Failed"


def test_while_a_host_is_alive_it_is_left_to_the_host(endpoint: Endpoint, sweep: HostlessSweep) -> None:
    node_beat(kind=NodeKind.HOST, name="b", started_at=clock.now())
    _host_was_silent_for(LEASE_S + 60)
    sweep()
    assert Replica.objects.get().status == "InService"


def test_after_its_start_it_gives_hosts_the_health_window_before_it_judges(endpoint: Endpoint) -> None:
    _host_was_silent_for(3600)
    HostlessSweep()()
    endpoint.refresh_from_db()
    assert Replica.objects.get().status == "Pending"
    assert endpoint.status == "InService"


def test_a_server_that_hung_counts_as_down_since_its_last_answer(endpoint: Endpoint) -> None:
    replica = Replica.objects.get()
    assert replica_crashed(replica_id=replica.pk, host="a", silent_s=12.0)
    replica.refresh_from_db()
    assert replica.ended_at is not None
    assert (clock.now() - replica.ended_at).total_seconds() == pytest.approx(12, abs=5)


def test_a_lease_from_before_the_clock_was_set_back_does_not_keep_a_dead_host_s_replica(
    endpoint: Endpoint, sweep: HostlessSweep
) -> None:
    Replica.objects.update(lease_expires_at=clock.now() + timedelta(hours=5))
    sweep()
    replica = Replica.objects.get()
    lease = replica.lease_expires_at
    assert replica.host == "a" and lease is not None and lease <= clock.now() + timedelta(seconds=LEASE_S + 1)


def test_it_is_among_the_sweeps_of_leases_and_one_that_breaks_does_not_break_their_turn(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> int:
        raise RuntimeError("a fault")

    _host_was_silent_for(LEASE_S + 1)
    lease_sweeps_run()
    assert Replica.objects.get().status == "Pending"
    monkeypatch.setattr(sweeping, "replica_instants_mend", broken)
    lease_sweeps_run()
