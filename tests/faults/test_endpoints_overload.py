"""More than a replica can take: 5,000 callers at once, clients that vanish, clients that trickle."""

from __future__ import annotations

import asyncio
import re
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from endpoints.models import Endpoint
from endpoints.services.endpoints import VariantRequest, endpoint_create
from mlplatform.core.people.access import Actor
from tests.faults.endpoint_fixtures import *  # noqa: F403
from tests.faults.endpoint_stage import EndpointStage, n_files
from tests.faults.load import Answered, Caller, in_loop
from tests.polling import wait_until

pytestmark = [pytest.mark.slow]

N_CALLERS = 5_000
RECOVERED_WITHIN_S = 10.0
MEMORY_MAX_BYTES = 512 * 2**20
N_KEPT_FILES = 2 * 64 + 20
"""Connections that the gateway keeps to a replica, both ends, and a few files of anybody's."""


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = N_CALLERS + 2_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine lets a process open {hard} files; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def endpoint(alice: Actor, stage: EndpointStage) -> Endpoint:
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    stage.wait_in_service(1)
    return created


def _processes(stage: EndpointStage) -> list[int]:
    return [stage.gateway.pid, *stage.model_servers()]


def _peak_bytes(pid: int) -> int:
    """The most memory that the process has ever had."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1)) * 1024


def _outstanding(stage: EndpointStage) -> int:
    return sum(replica["outstanding"] for replica in stage.gateway_status()["replicas"])


async def _all_at_once(stage: EndpointStage) -> list[Answered]:
    """Opens all connections, then sends one request on each."""
    callers = [Caller(stage.port) for _ in range(N_CALLERS)]
    opening = asyncio.Semaphore(200)

    async def connect(caller: Caller) -> None:
        async with opening:
            await caller.connect()

    try:
        await asyncio.gather(*map(connect, callers))
        return await asyncio.gather(*(caller.call(stage.request()) for caller in callers))
    finally:
        for caller in callers:
            caller.vanish()


def test_five_thousand_callers_at_once_get_an_answer_or_are_told_when_to_come_again(
    endpoint: Endpoint, stage: EndpointStage
) -> None:
    usual_s = statistics.median(stage.invoke().duration_s for _ in range(20))
    files_before = n_files(_processes(stage))

    answers = in_loop(_all_at_once(stage))
    over_at = time.monotonic()

    statuses = Counter(answer.status for answer in answers)
    errors = Counter(answer.error for answer in answers if answer.error)
    assert statuses.keys() <= {200, 429}, (statuses, errors)
    assert statuses.total() == N_CALLERS and statuses[200] >= 200 and statuses[429] > 0
    throttled = [answer for answer in answers if answer.status == 429]
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in throttled)
    assert all(b'"ThrottlingException"' in answer.body for answer in throttled)
    wait_until(
        lambda: (again := stage.invoke()).status == 200 and again.duration_s < max(3 * usual_s, 0.25),
        timeout_s=RECOVERED_WITHIN_S - (time.monotonic() - over_at),
    )
    assert all(_peak_bytes(pid) < MEMORY_MAX_BYTES for pid in _processes(stage))
    assert stage.replicas()[0].restarts == 0
    wait_until(lambda: _outstanding(stage) == 0)
    wait_until(lambda: n_files(_processes(stage)) <= files_before + N_KEPT_FILES, what="files closed again")


async def _trickle(stage: EndpointStage, n: int) -> list[bytes]:
    """Sends the head of a request a byte at a time on `n` connections; what the gateway said before it hung up."""

    async def one() -> bytes:
        caller = Caller(stage.port)
        await caller.connect()
        said = asyncio.ensure_future(caller.read())
        for byte in stage.request():
            await caller.send(bytes([byte]))
            done, _ = await asyncio.wait([said], timeout=1.0)
            if done:
                break
        caller.vanish()
        return said.result() if said.done() else b""

    return await asyncio.gather(*(one() for _ in range(n)))


async def _vanish(stage: EndpointStage, n: int) -> None:
    """`n` clients that go away in the middle of the head, of the body, and while they wait for the answer."""
    request = stage.request()

    async def one(n_bytes: int) -> None:
        caller = Caller(stage.port)
        await caller.connect()
        await caller.send(request[:n_bytes])
        await asyncio.sleep(0)
        caller.vanish()

    cuts = [20, len(request) - 5, len(request)]
    await asyncio.gather(*(one(cuts[i % 3]) for i in range(n)))


def test_clients_that_vanish_or_trickle_leave_nothing_behind(
    endpoint: Endpoint, stage: EndpointStage
) -> None:
    stage.invoke()
    files_before = n_files(_processes(stage))

    for _ in range(3):
        in_loop(_vanish(stage, 300))
        assert stage.invoke().status == 200
    said = in_loop(_trickle(stage, 100))

    assert all(b" 408 " in answer for answer in said), Counter(said)
    wait_until(lambda: _outstanding(stage) == 0)
    wait_until(lambda: stage.gateway_status()["active"] == 0)
    wait_until(
        lambda: n_files(_processes(stage)) <= files_before + N_KEPT_FILES,
        timeout_s=30,
        what="files closed again",
    )
    assert stage.invoke().status == 200
