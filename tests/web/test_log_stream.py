"""A log stream that a signed-in person opened, by the page's address or by REST: it ends when they sign out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import AsyncClient, Client

from mlplatform.core import clock
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append
from mlplatform.core.models import Membership, Session
from tests.jobs.training.cast import dataset_make, job_make
from tests.web.conftest import Visitor

pytestmark = pytest.mark.django_db(transaction=True)


def sign_out(client: Client) -> None:
    assert client.post("/logout/").status_code == 302


def session_ends(client: Client) -> None:
    Session.objects.all().delete()


def session_is_not_used(client: Client) -> None:
    Session.objects.update(expire_date=clock.now() - timedelta(seconds=1))


def session_gets_too_old(client: Client) -> None:
    most = timedelta(seconds=settings.MLPLATFORM_SESSION_MAX_S)
    Session.objects.update(signed_in_at=clock.now() - most - timedelta(seconds=1))


def leave_project(client: Client) -> None:
    Membership.objects.all().delete()


@pytest.mark.parametrize("face", ["page", "REST"])
@pytest.mark.parametrize(
    "end_right", [sign_out, session_ends, session_is_not_used, session_gets_too_old, leave_project]
)
def test_an_open_stream_ends_at_once_with_the_session_or_membership(
    alice: Visitor, face: str, end_right: Callable[[Client], None]
) -> None:
    dataset_make(alice.actor)
    job = job_make(alice.actor, "waiting")
    log_append(stream=job.log, lines=[LogLines.of("before", time.time_ns() // 1_000_000)])
    address = alice.url("training-job-log-stream", name="waiting")
    if face == "REST":
        address = f"/api/v1/projects/{alice.project.name}/training-jobs/waiting/logs/stream/"

    browser, streaming = alice.client, AsyncClient()
    streaming.cookies = browser.cookies

    async def follow() -> float:
        response = await streaming.get(address, headers={"Accept": "text/event-stream"})
        events = aiter(response.streaming_content)
        assert b"before" in await asyncio.wait_for(anext(events), 10)
        await sync_to_async(end_right)(browser)
        ended_at = time.monotonic()
        assert b"event: denied" in await asyncio.wait_for(anext(events), 10)
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(events), 10)
        return time.monotonic() - ended_at

    assert asyncio.run(follow()) < 5
