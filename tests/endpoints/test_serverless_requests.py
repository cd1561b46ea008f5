"""Serverless variants as asked for: what is accepted, what is refused, and what gateways and hosts make of the row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from endpoints.elastic import Load, replicas_for, replicas_here_max, rests_until, vcpus_of
from endpoints.gateway import tables
from endpoints.keeping import replica_logs_remove, replica_runs_remove
from endpoints.models import Endpoint, Model, ProductionVariant, Replica, ReplicaRun
from endpoints.selectors.endpoints import endpoint_get
from endpoints.selectors.replica_logs import replica_log_get, replica_logs
from endpoints.selectors.replica_runs import elastic_states, replica_run_list
from endpoints.served import _share
from endpoints.services.elastic import AGAIN_AT, idle_sweep, loads_write
from endpoints.services.endpoints import (
    ServerlessRequest,
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_update_weights,
    variant_requests,
)
from endpoints.services.replica_logs import KEPT_LOGS
from endpoints.services.replica_runs import run_sweep
from endpoints.services.replicas import (
    replica_claim,
    replica_failed,
    replica_gone,
    replica_ready,
    replica_release,
    replica_started,
)
from endpoints.services.rollout import rollout_steps
from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append, log_tail
from mlplatform.core.models import LogStream
from mlplatform.core.people.access import Actor
from mlplatform.core.revisions import revision_value

SERVERLESS = ServerlessRequest(memory_mb=2048, max_concurrency=8, idle_after_s=60)
IRIS = VariantRequest(model="iris-knn", serverless=SERVERLESS)


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    created = endpoint_create(actor=alice, name="iris", variants=[IRIS])
    _host_serves()
    created.refresh_from_db()
    return created


def _host_serves() -> None:
    while rollout_steps():
        pass
    for replica in replica_claim(host="one"):
        assert replica_started(replica_id=replica.pk, host="one", pid=1)
        assert replica_ready(replica_id=replica.pk, host="one", address=f"unix:/tmp/{replica.uid}")
    while rollout_steps():
        pass


def _variant() -> ProductionVariant:
    return ProductionVariant.objects.get()


def _asks(n_wanted: int = 1, *, waits: bool = True) -> None:
    now = clock.now().timestamp()
    loads_write(loads=[Load(_variant().pk, n_wanted, now, now if waits else None)])


def _falls_asleep() -> None:
    ProductionVariant.objects.update(requested_at=clock.now() - timedelta(seconds=61))
    idle_sweep()
    while rollout_steps():
        pass
    for replica in Replica.objects.filter(status="Draining"):
        replica_gone(replica_id=replica.pk, host="one")
    while rollout_steps():
        pass


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"memory_mb": 1500}, "memory_mb", "1024, 2048, 3072, 4096, 5120, 6144"),
        ({"memory_mb": 7168}, "memory_mb", "1024, 2048, 3072, 4096, 5120, 6144"),
        ({"max_concurrency": 0}, "max_concurrency", "1 to 200"),
        ({"max_concurrency": 201}, "max_concurrency", "1 to 200"),
        ({"idle_after_s": 4}, "idle_after_s", "5 to 86400"),
        ({"idle_after_s": 86401}, "idle_after_s", "5 to 86400"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(
    alice: Actor, iris_model: Model, asked: dict[str, Any], field: str, words: str
) -> None:
    serverless = ServerlessRequest(**({"memory_mb": 1024, "max_concurrency": 1} | asked))
    with pytest.raises(InvalidRequest) as refused:
        endpoint_create(
            actor=alice, name="iris", variants=[VariantRequest(model="iris-knn", serverless=serverless)]
        )
    (error,) = refused.value.errors
    assert error.field == f"variants.0.serverless.{field}" and words in error.message


def test_a_serverless_variant_is_the_only_one_and_has_no_count(alice: Actor, endpoint: Endpoint) -> None:
    two = [IRIS, VariantRequest(model="iris-knn", name="Other")]
    with pytest.raises(InvalidRequest, match="that one alone"):
        endpoint_create(actor=alice, name="two", variants=two)
    with pytest.raises(InvalidRequest, match="follow the requests"):
        endpoint_update_weights(actor=alice, name="iris", counts={"AllTraffic": 2})
    with pytest.raises(InvalidRequest, match="5 to 86400"):
        endpoint_create(
            actor=alice, name="three", variants=[VariantRequest(model="iris-knn", idle_after_s=1)]
        )
    assert variant_requests(endpoint.wanted) == [IRIS]


def test_it_proves_its_model_and_sleeps_after_the_idle_time(alice: Actor, endpoint: Endpoint) -> None:
    assert endpoint.status == "InService"
    assert idle_sweep() == pytest.approx(60, abs=5)
    (state,) = elastic_states(endpoint=endpoint, replicas=Replica.objects.all())
    assert (state.n_ready, state.asleep) == (1, False) and state.sleeps_at is not None
    _falls_asleep()
    assert not Replica.objects.exists()
    assert idle_sweep() is None
    asleep = endpoint_get(actor=alice, name="iris")
    assert asleep.status == "InService"
    (state,) = elastic_states(endpoint=asleep, replicas=[])
    assert state.asleep and state.sleeps_at is None


def test_who_waits_wakes_it_once_and_who_does_not_leaves_it_asleep(endpoint: Endpoint) -> None:
    _falls_asleep()
    before = revision_value()
    _asks(waits=False)
    assert (_variant().n_wanted, revision_value()) == (0, before)
    _asks()
    assert _variant().n_wanted == 1 and _variant().demanded_at is not None
    assert revision_value() == before + 1
    _asks()
    assert revision_value() == before + 1, "a herd is one demand"
    _host_serves()
    assert Replica.objects.count() == 1 and _variant().demanded_at is None
    cold = replica_run_list(endpoint=endpoint, cold=True).items
    assert [run.n_waiting for run in cold] == [0] and cold[0].demanded_at is not None


def test_load_brings_more_replicas_and_less_of_it_fewer(endpoint: Endpoint) -> None:
    _asks(2, waits=False)
    _host_serves()
    most = min(8, replicas_here_max(2048))
    assert Replica.objects.filter(status="InService").count() == min(2, most)
    _asks(1, waits=False)
    while rollout_steps():
        pass
    assert Replica.objects.filter(status="InService").count() == 1


def test_after_a_failed_start_nobody_starts_it_before_its_time(endpoint: Endpoint) -> None:
    _falls_asleep()
    _asks()
    while rollout_steps():
        pass
    (replica,) = replica_claim(host="one")
    assert replica_started(replica_id=replica.pk, host="one", pid=1)
    again_at = clock.now().timestamp() + 10
    failure = {"reason": "ValueError: no", "detail": "", "log_tail": [], AGAIN_AT: again_at}
    assert replica_failed(replica_id=replica.pk, host="one", failure=failure, retried=True)
    assert _variant().n_wanted == 0
    while rollout_steps():
        pass
    endpoint.refresh_from_db()
    assert endpoint.status == "Failed" and endpoint.failure_reason == "ValueError: no"
    _asks()
    assert _variant().n_wanted == 0, "its time has not come"
    Replica.objects.update(failure=failure | {AGAIN_AT: again_at - 20})
    _asks()
    assert _variant().n_wanted == 1
    assert ReplicaRun.objects.latest("started_at").end_reason == "FailedToStart"


def test_lives_are_written_for_ordinary_endpoints_too_and_end_with_their_host(
    alice: Actor, iris_model: Model
) -> None:
    created = endpoint_create(actor=alice, name="plain", variants=[VariantRequest(model="iris-knn")])
    _host_serves()
    run = ReplicaRun.objects.get()
    assert (run.endpoint_uid, run.instance_type, run.memory_mb) == (created.uid, "local.cpu", None)
    assert run.ready_at is not None and run.ended_at is None and run.price_per_hour is not None
    seen_at = clock.now() - timedelta(seconds=30)
    ReplicaRun.objects.update(seen_at=seen_at)
    replica_release(host="one")
    run.refresh_from_db()
    assert (run.ended_at, run.end_reason) == (seen_at, "HostLost")


def test_logs_of_replicas_that_are_gone_stay_readable_the_newest_of_them(
    alice: Actor, endpoint: Endpoint
) -> None:
    for number in range(KEPT_LOGS + 2):
        if number:
            _asks()
            _host_serves()
        replica = Replica.objects.get()
        log_append(stream=replica.log, lines=[LogLines.of(f"server {number}", 1_790_000_000_000)])
        _goes(replica)
    gone = replica_logs(endpoint=endpoint)
    assert [log_tail(stream=one.log).text for one in gone] == [f"server {n}\n" for n in (6, 5, 4, 3, 2)]
    assert {(one.status, one.index, one.variant, one.log.ended) for one in gone} == {
        ("Gone", None, "AllTraffic", True)
    }
    assert replica_log_get(endpoint=endpoint, uid=gone[-1].uid) == gone[-1]
    with pytest.raises(NotFound):
        replica_log_get(endpoint=endpoint, uid=ReplicaRun.objects.earliest("started_at").replica_uid)
    other = endpoint_create(actor=alice, name="other", variants=[IRIS])
    with pytest.raises(NotFound):
        replica_log_get(endpoint=other, uid=gone[0].uid)

    assert replica_logs_remove(clock.now() - timedelta(days=1), 100) == 0
    assert replica_logs_remove(clock.now() + timedelta(days=1), 100) > 0
    assert replica_logs(endpoint=endpoint)[0].log.removed_at is not None
    replica_runs_remove(clock.now() + timedelta(days=1), 100)
    assert replica_logs(endpoint=endpoint) == []
    assert not LogStream.objects.filter(uid__in=[one.uid for one in gone]).exists()


def test_logs_of_replicas_that_are_gone_go_with_the_endpoint(alice: Actor, endpoint: Endpoint) -> None:
    _goes(Replica.objects.get())
    assert len(replica_logs(endpoint=endpoint)) == 1
    n_streams = LogStream.objects.count()
    endpoint_delete(actor=alice, name="iris")
    while rollout_steps():
        pass
    assert LogStream.objects.count() == n_streams - 1 and not Endpoint.objects.exists()


def _goes(replica: Replica) -> None:
    ProductionVariant.objects.update(n_wanted=0)
    while rollout_steps():
        pass
    assert replica_gone(replica_id=replica.pk, host="one")
    while rollout_steps():
        pass
    assert not Replica.objects.exists()


def test_a_life_that_nobody_has_seen_for_long_is_over(endpoint: Endpoint) -> None:
    assert run_sweep() == 0
    seen_at = clock.now() - timedelta(seconds=61)
    ReplicaRun.objects.update(seen_at=seen_at)
    assert run_sweep() == 1
    run = ReplicaRun.objects.get()
    assert (run.ended_at, run.end_reason) == (seen_at, "HostLost")


def test_a_host_of_another_queue_takes_no_serverless_replica(alice: Actor, iris_model: Model) -> None:
    endpoint_create(actor=alice, name="iris", variants=[IRIS])
    assert not replica_claim(host="gpu", queues=["gpu"])
    assert len(replica_claim(host="cpu", queues=["cpu"])) == 1


def test_memory_brings_processors_as_lambda_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    assert [vcpus_of(n) for n in (1024, 2048, 3072, 4096, 5120, 6144)] == [1, 1, 1, 2, 2, 3]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert vcpus_of(6144) == 2
    assert [replicas_for(n, most=5) for n in (0, 1, 4, 5, 8, 9, 200)] == [1, 1, 1, 2, 2, 3, 5]


def test_a_rest_of_the_far_future_was_said_before_the_clock_was_set_back() -> None:
    assert rests_until(1010.0, now=1000.0)
    assert not rests_until(1000.0, now=1000.0)
    assert not rests_until(87_400.0, now=1000.0)


def test_its_memory_is_the_limit_of_its_process_and_brings_its_threads(endpoint: Endpoint) -> None:
    assert _share(_variant()) == (vcpus_of(2048), 2048 * 2**20)


def test_a_start_that_fails_beside_a_replica_that_answers_keeps_its_place_and_is_tried_later(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoints.services.elastic.replicas_here_max", lambda _: 4)
    _asks(2, waits=False)
    while rollout_steps():
        pass
    (second,) = replica_claim(host="one")
    assert replica_started(replica_id=second.pk, host="one", pid=2)
    failure = {"reason": "OutOfMemory", "detail": "", "log_tail": [], AGAIN_AT: clock.now().timestamp() + 10}
    assert replica_failed(replica_id=second.pk, host="one", failure=failure, retried=True)
    _asks(2, waits=False)
    while rollout_steps():
        pass
    assert sorted(Replica.objects.values_list("status", flat=True)) == ["Failed", "InService"]
    endpoint.refresh_from_db()
    assert endpoint.status == "InService"
    (route,) = tables._routes()
    (variant,) = route.variants
    assert variant.elastic is not None and variant.elastic.failure is None, "one answers"
