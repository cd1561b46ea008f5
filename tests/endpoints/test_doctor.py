"""What the doctor says of hosts, endpoints and table runs. Nobody's endpoint is named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from endpoints.doctor import endpoints_check, evaluations_check, hosts_check, table_runs_check
from endpoints.models import Endpoint, Evaluation, Model, Replica, TableRun
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.replicas import replica_claim
from mlplatform.core import clock
from mlplatform.core.health.doctor import Finding, Level
from mlplatform.core.logs import log_stream_create
from mlplatform.core.models import NodeKind
from mlplatform.core.names import uid_new
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus, ReplicaStatus
from tests.jobs.training.cast import dataset_make

MINUTES = timedelta(minutes=1)


def only(findings: Any) -> Finding:
    found: list[Finding] = list(findings)
    assert len(found) == 1, [str(each.summary) for each in found]
    assert "secret-plan" not in found[0].summary
    assert found[0].remedy or found[0].level == Level.OK
    return found[0]


def host_beats(name: str = "one") -> None:
    node_beat(
        kind=NodeKind.HOST,
        name=name,
        started_at=clock.now() - MINUTES,
        queues=["cpu"],
        concurrency=100,
    )


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    request = VariantRequest(model=iris_model.name)
    return endpoint_create(actor=alice, name="secret-plan", variants=[request])


def changed(endpoint: Endpoint, **values: Any) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(**values)


def test_without_a_host_it_is_told_how_to_start_one(db: None) -> None:
    found = only(hosts_check())
    assert found.level == Level.FAILED and "manage.py host" in found.remedy
    host_beats()
    assert only(hosts_check()).level == Level.OK


def test_replicas_that_no_host_has_room_for_are_counted(endpoint: Endpoint) -> None:
    host_beats()
    Replica.objects.create(
        endpoint=endpoint,
        variant=endpoint.wanted.variants.get(),
        uid=uid_new(),
        index=7,
        status=ReplicaStatus.PENDING,
        created_at=clock.now() - 3 * MINUTES,
        log=log_stream_create(),
    )
    found = only(each for each in hosts_check() if each.level != Level.OK)
    assert "1 replicas wait for a host, the oldest for 3 min; the hosts alive take 100" in found.summary
    assert "--capacity" in found.remedy


def test_replicas_of_a_queue_that_no_host_serves_are_told_with_the_command(endpoint: Endpoint) -> None:
    host_beats()
    endpoint.wanted.variants.update(instance_type="ml.p2.xlarge")
    Replica.objects.update(created_at=clock.now() - 3 * MINUTES)
    found = only(each for each in hosts_check() if each.level != Level.OK)
    assert "1 replicas need a host of the queue gpu, the oldest for 3 min" in found.summary
    assert "manage.py host --queues gpu" in found.remedy


def test_endpoints_that_serve_are_in_order_and_failed_ones_a_warning(endpoint: Endpoint) -> None:
    changed(endpoint, status=EndpointStatus.IN_SERVICE)
    found = only(endpoints_check())
    assert found.level == Level.OK and "1 of 1" in found.summary
    changed(endpoint, status=EndpointStatus.FAILED, updated_at=clock.now() - 2 * MINUTES)
    found = only(endpoints_check())
    assert found.level == Level.WARNING and "1 endpoints have failed, the last 2 min ago" in found.summary


def test_an_endpoint_that_changes_for_ever_is_a_warning(endpoint: Endpoint) -> None:
    changed(endpoint, status=EndpointStatus.UPDATING, updated_at=clock.now() - 30 * MINUTES)
    assert "changing for 30 min" in only(endpoints_check()).summary


def test_replicas_that_keep_ending_are_a_warning_until_they_are_quiet(endpoint: Endpoint) -> None:
    changed(endpoint, status=EndpointStatus.IN_SERVICE)
    replica = _replica(
        endpoint, restarts=5, started_at=clock.now() - MINUTES, status=ReplicaStatus.IN_SERVICE
    )
    assert (
        "1 replicas keep ending and being started again, one of them 5 times"
        in only(endpoints_check()).summary
    )
    Replica.objects.filter(pk=replica.pk).update(started_at=clock.now() - 60 * MINUTES)
    assert only(endpoints_check()).level == Level.OK


def test_replicas_of_a_host_that_died_and_that_nobody_took_over_are_told(endpoint: Endpoint) -> None:
    changed(endpoint, status=EndpointStatus.IN_SERVICE)
    claimed = replica_claim(host="one")
    assert claimed
    assert only(endpoints_check()).level == Level.OK
    Replica.objects.filter(host="one").update(lease_expires_at=clock.now() - 5 * MINUTES)
    found = only(endpoints_check())
    assert found.level == Level.FAILED and "silent for 5 min" in found.summary


def test_table_runs_that_hang_are_told(endpoint: Endpoint, alice: Actor) -> None:
    assert only(table_runs_check()).level == Level.OK
    run = _table_run(endpoint, alice)
    assert "1 under way" in only(table_runs_check()).summary
    TableRun.objects.filter(pk=run.pk).update(created_at=clock.now() - 5 * MINUTES)
    assert "wait for a worker" in only(table_runs_check()).summary
    TableRun.objects.filter(pk=run.pk).update(lease_expires_at=clock.now() - 5 * MINUTES)
    found = only(table_runs_check())
    assert found.level == Level.FAILED
    assert "1 table runs have lost their worker and were not ended, the oldest for 5 min" in found.summary


def test_evaluations_that_hang_are_told(alice: Actor) -> None:
    assert only(evaluations_check()).level == Level.OK
    given = {"project": alice.project, "created_by": alice.user, "created_at": clock.now() - 5 * MINUTES}
    Evaluation.objects.create(name="secret-plan", uid="a" * 26, endpoint_name="iris", **given)
    found = only(evaluations_check())
    assert found.level == Level.FAILED
    assert "1 evaluations wait for a worker of the queue cpu, the oldest for 5 min" in found.summary
    Evaluation.objects.update(status="Stopping", lease_expires_at=clock.now() - 5 * MINUTES)
    assert "1 evaluations have lost their worker" in only(evaluations_check()).summary
    Evaluation.objects.update(status="Stopped")
    assert only(evaluations_check()).level == Level.OK


def _replica(endpoint: Endpoint, **values: Any) -> Replica:
    given = {"status": ReplicaStatus.PENDING, "created_at": clock.now(), **values}
    return Replica.objects.create(
        endpoint=endpoint,
        variant=endpoint.wanted.variants.get(),
        uid=uid_new(),
        index=7,
        log=log_stream_create(),
        **given,
    )


def _table_run(endpoint: Endpoint, actor: Actor) -> TableRun:
    return TableRun.objects.create(
        endpoint=endpoint,
        dataset_version=dataset_make(actor),
        uid=uid_new(),
        created_by=actor.user,
        created_at=clock.now(),
    )
