"""Serverless endpoints with real model servers: asleep without a process, awake for a herd, and asleep again."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.db import OperationalError
from django.db.models import Sum

from endpoints.gateway import tables
from endpoints.models import Endpoint, EndpointMetric, Model, ProductionVariant, Replica, ReplicaRun
from endpoints.services import elastic
from endpoints.services.endpoints import (
    ServerlessRequest,
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_update,
)
from mlplatform.core import clock
from mlplatform.core.env import data_dir
from mlplatform.core.people.access import Actor, access_key_create
from tests.endpoints.conftest import HostDriver, PublicGateway

pytestmark = pytest.mark.slow
ROW = b"5.1,3.5,1.4,0.2"
SERVERLESS = ServerlessRequest(memory_mb=1024, max_concurrency=4, idle_after_s=300)


@dataclass(frozen=True)
class Told:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Street:
    """A serverless endpoint in service, and asleep; requests are sent from threads while the test drives the host."""

    actor: Actor
    endpoint: Endpoint
    host: HostDriver
    gateway: PublicGateway
    token: str

    @contextmanager
    def asking(self, n: int = 1) -> Iterator[list[Told]]:
        """`n` requests at once; their answers are there when the block has ended."""
        answers: list[Told] = []
        with ThreadPoolExecutor(n) as pool:
            futures = [pool.submit(self.ask) for _ in range(n)]
            yield answers
            self.host.until(lambda: all(future.done() for future in futures))
            answers += [future.result() for future in futures]

    def ask(self) -> Told:
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=70)
        try:
            path = f"/api/v1/projects/flowers/endpoints/{self.endpoint.name}/invocations"
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "text/csv"}
            connection.request("POST", path, body=ROW, headers=headers)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Told(response.status, told, response.read())
        finally:
            connection.close()

    def idle(self) -> None:
        """The idle time is over, now."""
        past = clock.now() - timedelta(seconds=301)
        ProductionVariant.objects.update(requested_at=past)
        self.host.host._full_pass_at = 0.0

    def fall_asleep(self) -> None:
        self.idle()
        self.host.until(lambda: not Replica.objects.exists())
        self.gateway.reload()

    def until(self, holds: Callable[[], object]) -> None:
        self.host.until(holds)


@pytest.fixture
def street(
    alice: Actor, iris_model: Model, host: HostDriver, public_gateway: PublicGateway
) -> Iterator[Street]:
    variant = VariantRequest(model="iris-knn", serverless=SERVERLESS)
    endpoint = endpoint_create(actor=alice, name="iris", variants=[variant])
    host.until_status(endpoint, "InService")
    public_gateway.reload()
    key, secret = access_key_create(user=alice.user, project=alice.project)
    public_gateway.reload()
    yield Street(alice, endpoint, host, public_gateway, f"{key.key_id}.{secret}")


def _processes() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "endpoints.serving" in (process.info["cmdline"] or []) and any(
            str(data_dir()) in part for part in process.info["cmdline"]
        ):
            found.append(process)
    return found


def test_it_sleeps_without_a_process_wakes_once_for_a_herd_and_sleeps_again(street: Street) -> None:
    assert street.ask().status == 200
    street.fall_asleep()
    assert not _processes()
    laid_out = [path.name for path in (data_dir() / "models").iterdir()]
    assert laid_out == [f"asleep-{street.endpoint.wanted.variants.get().pk}"]
    assert not (data_dir() / "models" / laid_out[0] / "tmp").exists()
    street.endpoint.refresh_from_db()
    assert street.endpoint.status == "InService"

    with street.asking(10) as answers:
        pass
    by_status = sorted(answer.status for answer in answers)
    assert by_status == [200] * 4 + [429] * 6
    for answer in answers:
        waited = answer.headers.get("x-mlplatform-cold-start")
        assert (waited is not None and int(waited) > 0) == (answer.status == 200)
        assert answer.status == 200 or answer.headers["retry-after"]
    assert Replica.objects.count() == 1 and _processes()
    assert "x-mlplatform-cold-start" not in street.ask().headers
    street.gateway.flush()
    counted = EndpointMetric.objects.aggregate(*map(Sum, ("n_cold", "n_throttled", "busy_ms")))
    assert (counted["n_cold__sum"], counted["n_throttled__sum"]) == (4, 6), "in the minutes that it took"
    assert counted["busy_ms__sum"] > 0

    first, second = ReplicaRun.objects.order_by("started_at")
    assert (first.demanded_at, first.end_reason, first.memory_mb) == (None, "Idle", 1024)
    assert second.demanded_at is not None and second.ready_at is not None
    assert second.demanded_at <= second.started_at <= second.ready_at
    street.until(lambda: ReplicaRun.objects.get(pk=second.pk).n_waiting == 4)

    street.fall_asleep()
    assert not _processes()
    endpoint_delete(actor=street.actor, name="iris")
    street.until(lambda: not Endpoint.objects.exists())
    assert ReplicaRun.objects.filter(endpoint=None, ended_at__isnull=False).count() == 2


def test_a_model_server_killed_while_it_starts_is_started_again_and_the_request_answered(
    street: Street,
) -> None:
    street.fall_asleep()
    with street.asking() as answers:
        street.until(lambda: Replica.objects.filter(pid__isnull=False).exists())
        os.kill(Replica.objects.get().pid or 0, signal.SIGKILL)
    assert [answer.status for answer in answers] == [200]
    assert [run.end_reason for run in ReplicaRun.objects.order_by("started_at")] == ["Idle", "Crashed", ""]


def test_a_start_that_fails_is_told_to_who_waits_and_not_tried_again_before_its_time(
    street: Street, platform_folders: Path
) -> None:
    street.fall_asleep()
    (asleep,) = (data_dir() / "models").iterdir()
    for path in (asleep / "model").rglob("*"):
        if path.is_file():
            path.write_text("{}")
    archive = (
        platform_folders
        / "store"
        / street.endpoint.wanted.variants.get().model.artifact_uri.removeprefix("s3://")
    )
    content = archive.read_bytes()
    archive.unlink()
    with street.asking(2) as answers:
        pass
    for answer in answers:
        assert answer.status == 424 and b"no longer there" in answer.body, answer
        assert int(answer.headers["retry-after"]) > 1
    again = street.ask()
    assert again.status == 424 and "x-mlplatform-cold-start" not in again.headers
    street.host.until_status(street.endpoint, "Failed")
    assert "no longer there" in street.endpoint.failure_reason

    archive.write_bytes(content)
    past = Replica.objects.get().failure | {elastic.AGAIN_AT: 0}
    Replica.objects.update(failure=past)
    for served in street.host.host._served.values():
        served._not_before = 0.0
    street.host.host._revision = -1
    elastic.revision_bump()
    street.gateway.reload()
    with street.asking() as answers:
        pass
    assert [answer.status for answer in answers] == [200]
    street.host.until_status(street.endpoint, "InService")


def test_an_update_proves_its_model_first_and_rolls_back_to_one_that_sleeps(
    street: Street, broken_model: Model
) -> None:
    street.fall_asleep()
    other = ServerlessRequest(memory_mb=2048, max_concurrency=1)
    broken = VariantRequest(model=broken_model.name, serverless=other)
    endpoint_update(actor=street.actor, name="iris", variants=[broken])
    street.host.until_status(street.endpoint, "InService", within_s=40)
    assert street.endpoint.failure
    assert street.endpoint.live == street.endpoint.wanted
    street.until(lambda: not Replica.objects.exists())

    good = VariantRequest(model="iris-knn", serverless=other)
    endpoint_update(actor=street.actor, name="iris", variants=[good])
    street.until(lambda: ReplicaRun.objects.filter(memory_mb=2048, ready_at__isnull=False).exists())
    street.host.until_status(street.endpoint, "InService")
    assert street.endpoint.live is not None
    assert street.endpoint.live.variants.get().serverless_memory_mb == 2048


def test_while_the_database_is_away_a_request_to_one_that_sleeps_is_refused_with_the_reason(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.fall_asleep()

    def away(**_: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(tables, "loads_write", away)
    monkeypatch.setattr("endpoints.gateway.waiting.NOTED_WITHIN_S", 0.5)
    answer = street.ask()
    assert answer.status == 503 and b"the database is away" in answer.body
    assert answer.headers["retry-after"]


def test_one_whose_host_is_killed_while_it_starts_is_started_by_the_next(street: Street) -> None:
    street.fall_asleep()
    answers: list[Told] = []
    asking = threading.Thread(target=lambda: answers.append(street.ask()))
    asking.start()
    street.until(lambda: Replica.objects.filter(pid__isnull=False).exists())
    for process in _processes():
        process.kill()
    street.host.host._place.threads.close()
    street.host = HostDriver("test-host")  # of the same name: what the killed one had is its own
    street.until(lambda: not asking.is_alive())
    assert answers[0].status == 200
    assert sorted(ReplicaRun.objects.values_list("end_reason", flat=True)) == ["", "HostLost", "Idle"]
    street.host.host.end()
