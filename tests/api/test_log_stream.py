"""The log as server-sent events, read through the ASGI application while the log grows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from jobs.models import TrainingJob
from jobs.services.training import ChannelRequest, training_job_create
from mlplatform.core import clock
from mlplatform.core import log_events as events_module
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append, log_end
from mlplatform.core.models import AccessKey, LogStream, Membership
from mlplatform.core.names import uri
from mlplatform.core.people.access import access_key_revoke
from mlplatform.core.storage.objects import object_store
from tests.api.conftest import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(alice: Person) -> TrainingJob:
    address = uri(alice.project.bucket, "in/train.csv")
    object_store().put_bytes(b"0,1,2\n1,2,3\n", address)
    return training_job_create(
        actor=alice.actor,
        name="job",
        algorithm="knn",
        hyperparameters={"k": 1, "predictor_type": "classifier", "feature_dim": 2, "sample_size": 2},
        channels={"train": ChannelRequest(uri=address)},
    )


def write(job: TrainingJob, *lines: str) -> None:
    stream = LogStream.objects.get(pk=job.log_id)
    log_append(stream=stream, lines=[LogLines.of(line, time.time_ns() // 1_000_000) for line in lines])


def end(job: TrainingJob) -> None:
    log_end(stream=LogStream.objects.get(pk=job.log_id))


async def opened(person: Person, **headers: str) -> Any:
    return await AsyncClient().get(
        person.url("training-jobs/job/logs/stream/"),
        headers={"Authorization": f"Bearer {person.token}", "Accept": "text/event-stream", **headers},
    )


async def events(response: Any) -> AsyncIterator[tuple[str, str, Any]]:
    """(event, id, data) of each event; (":", "", text) of a comment."""
    async for chunk in response.streaming_content:
        for block in chunk.decode().strip().split("\n\n"):
            if block.startswith(":"):
                yield ":", "", block
                continue
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            yield fields["event"], fields["id"], json.loads(fields["data"])


async def within(seconds: float, found: AsyncIterator[Any]) -> Any:
    return await asyncio.wait_for(anext(found), seconds)


def test_lines_arrive_while_the_job_runs_and_the_end_is_told(alice: Person, job: TrainingJob) -> None:
    async def follow() -> None:
        await sync_to_async(write)(job, "one", "two")
        response = await opened(alice)
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        found = events(response)
        name, _, data = await within(5, found)
        assert (name, data["text"], data["first_line"]) == ("log", "one\ntwo\n", 1)
        await sync_to_async(write)(job, "three")
        assert (await within(5, found))[2]["text"] == "three\n"
        await sync_to_async(end)(job)
        assert (await within(5, found))[0] == "end"
        with pytest.raises(StopAsyncIteration):
            await within(5, found)

    asyncio.run(follow())


def test_a_client_that_comes_back_misses_nothing_and_reads_nothing_twice(
    alice: Person, job: TrainingJob
) -> None:
    async def follow() -> None:
        await sync_to_async(write)(job, "one")
        _, event_id, _ = await within(5, events(await opened(alice)))
        await sync_to_async(write)(job, "two")
        _, _, data = await within(5, events(await opened(alice, **{"Last-Event-ID": event_id})))
        assert (data["text"], data["first_line"]) == ("two\n", 2)

    asyncio.run(follow())


def revoke_key(person: Person) -> None:
    key = AccessKey.objects.get(user=person.user)
    access_key_revoke(actor=person.actor, key_id=key.key_id)


def let_key_expire(person: Person) -> None:
    AccessKey.objects.filter(user=person.user).update(expires_at=clock.now())


def disable_user(person: Person) -> None:
    person.user.is_active = False
    person.user.save()


def leave_project(person: Person) -> None:
    Membership.objects.filter(user=person.user).delete()


def test_a_silent_stream_is_kept_open(
    alice: Person, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "COMMENT_EVERY_S", 0.5)

    async def follow() -> None:
        assert (await within(10, events(await opened(alice))))[0] == ":"

    asyncio.run(follow())


@pytest.mark.parametrize("talks", [False, True])
@pytest.mark.parametrize("end_right", [revoke_key, let_key_expire, disable_user, leave_project])
def test_an_open_stream_ends_at_once_with_the_right_to_it(
    alice: Person, job: TrainingJob, talks: bool, end_right: Callable[[Person], None]
) -> None:
    async def follow() -> tuple[float, str]:
        found = events(await opened(alice))
        await sync_to_async(write)(job, "before")
        assert (await within(10, found))[0] == "log"
        await sync_to_async(end_right)(alice)
        ended_at = time.monotonic()
        name, event_id, data = "log", "", {}
        while name == "log":
            if talks:
                await sync_to_async(write)(job, "after")
            name, event_id, data = await within(10, found)
        assert data == {"next": int(event_id)}
        with pytest.raises(StopAsyncIteration):
            await within(10, found)
        return time.monotonic() - ended_at, name

    seconds, last = asyncio.run(follow())
    assert (last, seconds < 5) == ("denied", True)


@pytest.mark.parametrize("given", ["x", "-1", "9" * 40])
def test_a_place_that_is_none_is_refused(alice: Person, job: TrainingJob, given: str) -> None:
    answer = asyncio.run(opened(alice, **{"Last-Event-ID": given}))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Last-Event-ID")


def test_nobody_elses_log_can_be_followed(alice: Person, charlie: Person, job: TrainingJob) -> None:
    async def follow() -> int:
        response = await AsyncClient().get(
            alice.url("training-jobs/job/logs/stream/"), headers={"Authorization": f"Bearer {charlie.token}"}
        )
        return int(response.status_code)

    assert asyncio.run(follow()) == 404


def test_the_stream_ends_when_the_log_is_deleted(job: TrainingJob) -> None:
    stream = LogStream.objects.get(pk=job.log_id)

    async def follow() -> tuple[bytes, list[bytes]]:
        await sync_to_async(write)(job, "a line")
        followed = events_module.log_events(stream=stream)
        first = await anext(followed)
        await sync_to_async(job.delete)()
        await sync_to_async(stream.delete)()
        return first, [event async for event in followed]

    first, rest = asyncio.run(follow())
    assert b"a line" in first
    assert [event.partition(b"\ndata")[0] for event in rest] == [b"id: 7\nevent: end"]
