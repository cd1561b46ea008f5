"""Bodies that wait until their view has said where they go: kept as they come, also when they break off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from mlplatform.core import late_body
from mlplatform.core.errors import PlatformError, RequestTimeout, StorageFull
from mlplatform.core.late_body import LateBody, body_to

GONE = {"type": "http.disconnect"}


class Kept:
    """A sink in memory."""

    def __init__(self, fails: PlatformError | None = None) -> None:
        self.content = b""
        self.n_closed = 0
        self._fails = fails

    def write(self, piece: bytes) -> None:
        if self._fails:
            raise self._fails
        self.content += piece

    def close(self) -> int:
        self.n_closed += 1
        return len(self.content)


def piece(content: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


def answered(
    sink: Kept | None,
    messages: Iterable[dict[str, Any]],
    media_type: str = late_body.MEDIA_TYPE,
    method: str = "PATCH",
) -> list[Any]:
    """What is sent back by an application that names the sink, if there is one."""
    seen: list[Any] = []
    coming = iter(messages)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["body"])
        if sink is not None:
            body_to(type("Request", (), {"scope": scope})(), sink)
        headers = [(b"Upload-Offset", b"0"), (b"x-other", b"1")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        try:
            return next(coming)
        except StopIteration:
            return await asyncio.get_running_loop().create_future()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": [(b"content-type", media_type.encode())]}
    asyncio.run(LateBody(application)(scope, receive, send))
    return [*seen, *sent]


def test_the_view_is_asked_first_and_the_answer_says_what_was_reached() -> None:
    sink = Kept()
    body, start, _ = answered(sink, [piece(b"abc"), piece(b"de", more=False)])
    assert body == b""
    assert (sink.content, sink.n_closed) == (b"abcde", 1)
    assert dict(start["headers"]) == {b"x-other": b"1", b"Upload-Offset": b"5"}


def test_what_came_before_the_sender_went_away_is_kept_and_nothing_answered() -> None:
    sink = Kept()
    assert answered(sink, [piece(b"abc"), GONE]) == [b""]
    assert (sink.content, sink.n_closed) == (b"abc", 1)


def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_body, "STALL_S", 0.01)
    sink = Kept()
    with pytest.raises(RequestTimeout):
        answered(sink, [piece(b"abc")])
    assert (sink.content, sink.n_closed) == (b"abc", 1)


def test_a_full_disk_is_told_and_lets_go() -> None:
    sink = Kept(StorageFull("full"))
    with pytest.raises(StorageFull):
        answered(sink, [piece(b"abc", more=False)])
    assert sink.n_closed == 1


def test_what_the_view_refuses_is_answered_without_the_body() -> None:
    _, start, _ = answered(None, [])
    assert start["status"] == 204
    assert dict(start["headers"])[b"Upload-Offset"] == b"0"


def test_other_bodies_are_left_alone() -> None:
    body, *_ = answered(None, [piece(b"abc", more=False)], media_type="text/csv")
    assert body == b"abc"


def test_another_method_is_left_alone_so_that_no_answer_that_streams_is_held_back() -> None:
    body, *_ = answered(None, [piece(b"abc", more=False)], method="GET")
    assert body == b"abc"


def test_a_cancelled_request_closes_its_sink_only_after_the_write_that_is_under_way() -> None:
    began, may_end, order = threading.Event(), threading.Event(), []

    class Slow(Kept):
        def write(self, piece: bytes) -> None:
            began.set()
            may_end.wait(5)
            order.append("written")

        def close(self) -> int:
            order.append("closed")
            return 0

    async def receive() -> Any:
        return piece(b"abc", more=False)

    async def cancelled() -> None:
        task = asyncio.create_task(late_body._take_in(Slow(), receive))
        await asyncio.to_thread(began.wait, 5)
        task.cancel()
        await asyncio.sleep(0.05)
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert order == ["written", "closed"]
