"""A serverless endpoint behind the real processes: it sleeps by itself, wakes for a request, and outlives its gateway
and its host.

The tests share one stage and are run in their order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from endpoints.models import EndpointMetric, ProductionVariant, ReplicaRun
from endpoints.services.endpoints import ServerlessRequest, VariantRequest, endpoint_create
from mlplatform.core.people.access import Actor
from tests.faults.endpoint_fixtures import *  # noqa: F403
from tests.faults.endpoint_stage import BACK_WITHIN_S, EndpointStage, kill
from tests.polling import wait_until

pytestmark = [pytest.mark.slow]
IDLE_AFTER_S = 5
COLD_WITHIN_S = 30.0


@pytest.fixture(scope="module", autouse=True)
def endpoint(alice: Actor, stage: EndpointStage) -> None:
    serverless = ServerlessRequest(memory_mb=1024, max_concurrency=8, idle_after_s=IDLE_AFTER_S)
    endpoint_create(
        actor=alice, name="iris", variants=[VariantRequest(model="iris-knn", serverless=serverless)]
    )
    stage.wait_in_service(1)


def _sleeps(stage: EndpointStage) -> None:
    wait_until(
        lambda: not stage.replicas() and not stage.model_servers(),
        timeout_s=IDLE_AFTER_S + 20,
        what=lambda: f"no process: {stage.replicas()} {stage.model_servers()}\n{stage.host.log}",
    )


def test_it_sleeps_by_itself_and_is_woken_by_a_request_again_and_again(stage: EndpointStage) -> None:
    for _ in range(2):
        _sleeps(stage)
        assert stage.endpoint().status == "InService"
        cold = stage.invoke()
        assert cold.status == 200, cold
        assert 0 < int(cold.headers["x-mlplatform-cold-start"]) < COLD_WITHIN_S * 1000
        assert len(stage.model_servers()) == 1
    assert "x-mlplatform-cold-start" not in stage.invoke().headers
    wait_until(lambda: sum(EndpointMetric.objects.values_list("n_cold", flat=True)) == 2, timeout_s=10)
    runs = list(ReplicaRun.objects.order_by("started_at"))
    assert [run.end_reason for run in runs] == ["Idle", "Idle", ""]
    assert [run.demanded_at is None for run in runs] == [True, False, False]


def test_a_gateway_killed_with_requests_that_wait_leaves_an_endpoint_that_answers_the_next(
    stage: EndpointStage,
) -> None:
    _sleeps(stage)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(stage.invoke) for _ in range(4)]
        wait_until(lambda: ProductionVariant.objects.get().demanded_at is not None, every_s=0.002)
        stage.gateway.kill()
        told = [future.result(timeout=30).status for future in waiting]
    assert set(told) <= {0, 200}, "their connection ends with the gateway"
    stage.gateway.start()
    stage.wait_for_answer(within_s=COLD_WITHIN_S + BACK_WITHIN_S)
    _sleeps(stage)


def test_a_host_killed_while_it_starts_one_is_followed_by_another_that_does(stage: EndpointStage) -> None:
    _sleeps(stage)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stage.invoke, timeout_s=60.0)
        wait_until(lambda: any(replica.pid for replica in stage.replicas()), every_s=0.002)
        kill(stage.host.pid)
        stage.host.popen.wait(20)
        stage.host.start()
        assert waiting.result(timeout=60).status == 200
    assert ReplicaRun.objects.filter(ended_at=None).count() == 1
    _sleeps(stage)
