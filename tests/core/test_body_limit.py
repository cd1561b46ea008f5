"""Bodies that are too large end before they are kept, and nobody in particular may send large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mlplatform.core.body_limit import BodyLimit
from mlplatform.core.people.access import access_key_create, project_create

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_limits(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 0
    settings.MLPLATFORM_UPLOAD_LIMIT_BYTES = 2 * 1024 * 1024


def answered(n_bytes: int, *, declared: bool = True, **headers: str) -> tuple[int, int]:
    """Status, and how many bytes reached the application."""
    reached = 0

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal reached
        while True:
            message = await receive()
            reached += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    statuses: list[int] = []
    pieces = chunks(n_bytes)
    length = {"content-length": str(n_bytes)} if declared else {"transfer-encoding": "chunked"}
    scope = {
        "type": "http",
        "headers": [(name.encode(), value.encode()) for name, value in {**length, **headers}.items()],
    }

    async def receive() -> Any:
        return next(pieces)

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    asyncio.run(BodyLimit(application)(scope, receive, send))
    [status] = statuses
    return status, reached


def chunks(n_bytes: int) -> Iterator[dict[str, Any]]:
    for begin in range(0, n_bytes, 65536):
        size = min(65536, n_bytes - begin)
        yield {"type": "http.request", "body": b"x" * size, "more_body": begin + size < n_bytes}


@pytest.fixture
def token() -> str:
    user = User.objects.create_user("alice", password="a long password")
    key, secret = access_key_create(user=user, project=project_create(user=user, name="alpha"))
    return f"{key.key_id}.{secret}"


def test_anybody_may_send_a_small_body() -> None:
    assert answered(1000) == (200, 1000)


def test_nobody_in_particular_may_send_a_large_one() -> None:
    assert answered(2_000_000) == (413, 0)
    assert answered(2_000_000, authorization="Bearer MLPKX.secret") == (413, 0)
    assert answered(2_000_000, cookie="sessionid=made-up") == (413, 0)


def test_a_key_may_send_up_to_the_upload_limit(token: str) -> None:
    assert answered(2_000_000, authorization=f"Bearer {token}") == (200, 2_000_000)
    assert answered(4_000_000, authorization=f"Bearer {token}") == (413, 0)


def test_a_session_may_too(token: str) -> None:
    client = Client()
    client.force_login(User.objects.get())
    session = client.cookies["sessionid"].value
    assert answered(2_000_000, cookie=f"a=b; sessionid={session}") == (200, 2_000_000)


def test_a_body_of_unannounced_length_is_counted(token: str) -> None:
    status, reached = answered(2_000_000, declared=False)
    assert status == 413
    assert reached <= 1024 * 1024
    status, reached = answered(4_000_000, declared=False, authorization=f"Bearer {token}")
    assert status == 413
    assert reached <= 3 * 1024 * 1024
