"""The pool of kept connections, against servers that behave badly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from endpoints.serving.address import Address
from endpoints.serving.client import Answer, AnswerTooLong, CallFailed, ConnectionPool, connect
from endpoints.unix_http import unix_call
from tests.endpoints.loop_thread import LoopThread

REQUEST = b"POST /invocations HTTP/1.1\r\nhost: m\r\ncontent-length: 3\r\n\r\n1,2"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


class Peer:
    """A server whose every connection is handled by `behave(reader, writer, number of the connection)`."""

    def __init__(self, loop_thread: LoopThread, path: Path, behave: Behave) -> None:
        self.loop_thread = loop_thread
        self.n_connections = 0
        self.address = Address(path=str(path))
        self._behave = behave
        self.server = loop_thread.call(asyncio.start_unix_server(self._handle, str(path)))
        self.pool = loop_thread.make(lambda: ConnectionPool(self.address))

    def call(self, *, limit_bytes: int = 10_000, timeout_s: float = 5.0) -> Answer:
        return self.loop_thread.call(self.pool.call(REQUEST, limit_bytes=limit_bytes, timeout_s=timeout_s))

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        try:
            await self._behave(reader, writer, self.n_connections)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
def peer(loop_thread: LoopThread, socket_dir: Path) -> Iterator[Callable[[Behave], Peer]]:
    peers: list[Peer] = []

    def start(behave: Behave) -> Peer:
        peers.append(Peer(loop_thread, socket_dir / "peer", behave))
        return peers[-1]

    yield start
    for started in peers:
        loop_thread.loop.call_soon_threadsafe(started.server.close)
        loop_thread.loop.call_soon_threadsafe(started.pool.close)


def answering(*answers: bytes) -> Behave:
    """Gives these answers to the requests of each connection, then ends it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        for answer in answers:
            await reader.readexactly(len(REQUEST))
            writer.write(answer)
            await writer.drain()

    return behave


def test_a_connection_is_used_again(peer: Callable[[Behave], Peer]) -> None:
    server = peer(answering(OK, OK, OK))
    assert [server.call().body for _ in range(3)] == [b"ok"] * 3
    assert server.n_connections == 1


def test_a_kept_connection_that_ends_at_the_next_request_is_replaced(peer: Callable[[Behave], Peer]) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readexactly(len(REQUEST))
        writer.write(OK)
        await reader.readexactly(len(REQUEST))
        if number > 1:
            writer.write(OK)

    server = peer(behave)
    assert [server.call().body for _ in range(3)] == [b"ok"] * 3
    assert server.n_connections == 2


def test_a_fresh_connection_that_ends_is_an_error_and_counts_as_delivered(
    peer: Callable[[Behave], Peer],
) -> None:
    server = peer(answering(b""))
    with pytest.raises(CallFailed) as caught:
        server.call()
    assert (caught.value.is_delivered, caught.value.is_answered) == (True, False)


def test_an_answer_that_breaks_off_is_not_asked_for_again(peer: Callable[[Behave], Peer]) -> None:
    server = peer(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"))
    with pytest.raises(CallFailed) as caught:
        server.call()
    assert caught.value.is_answered
    assert server.n_connections == 1


def test_nobody_there_means_nothing_was_delivered(loop_thread: LoopThread, socket_dir: Path) -> None:
    for address in (Address(path=str(socket_dir / "nobody")), Address(host="127.0.0.1", port=1)):
        with pytest.raises(CallFailed) as caught:
            loop_thread.call(connect(address))
        assert not caught.value.is_delivered


def test_an_answer_that_does_not_come_is_given_up(peer: Callable[[Behave], Peer]) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.read()

    with pytest.raises(CallFailed) as caught:
        peer(behave).call(timeout_s=0.05)
    assert caught.value.is_late


def test_an_answer_longer_than_the_limit_is_given_up(peer: Callable[[Behave], Peer]) -> None:
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n" + b"a" * 20000
    with pytest.raises(AnswerTooLong):
        peer(answering(long)).call(limit_bytes=10_000)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_answers_of_every_framing_are_understood(
    peer: Callable[[Behave], Peer], raw: bytes, body: bytes
) -> None:
    assert peer(answering(raw)).call().body == body


def test_what_is_not_http_is_an_error(peer: Callable[[Behave], Peer]) -> None:
    with pytest.raises(CallFailed, match="not an HTTP answer"):
        peer(answering(b"SSH-2.0-OpenSSH\r\n")).call()


def test_bytes_after_an_answer_are_never_taken_for_the_next_one(peer: Callable[[Behave], Peer]) -> None:
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    server = peer(answering(OK + forged, OK))
    bodies = []
    for _ in range(2):
        try:
            bodies.append(server.call().body)
        except CallFailed:
            bodies.append(b"failed")
    assert b"forged" not in bodies


def test_a_server_that_says_close_is_believed(peer: Callable[[Behave], Peer]) -> None:
    server = peer(answering(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), OK))
    server.call()
    server.call()
    assert server.n_connections == 2


def test_a_closed_pool_keeps_nothing(peer: Callable[[Behave], Peer]) -> None:
    server = peer(answering(OK, OK))
    server.call()
    server.loop_thread.make(server.pool.close)
    server.call()
    server.call()
    assert server.n_connections == 3


def test_a_server_with_a_full_backlog_is_waited_for(loop_thread: LoopThread, socket_dir: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    try:
        listener.bind(str(socket_dir / "full"))
        listener.listen(0)
        for client in waiting:
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(socket_dir / "full"))
        late = asyncio.run_coroutine_threadsafe(
            connect(Address(path=str(socket_dir / "full"))), loop_thread.loop
        )
        with pytest.raises(TimeoutError):
            late.result(0.1)
        listener.accept()[0].close()
        loop_thread.loop.call_soon_threadsafe(late.result(5).close)
    finally:
        for opened in (listener, *waiting):
            opened.close()


def test_a_link_in_the_place_of_a_socket_leads_nowhere(
    peer: Callable[[Behave], Peer], loop_thread: LoopThread, socket_dir: Path
) -> None:
    """A model server writes the folder of its own socket; the others' sockets are open to gateway and host only."""
    others = peer(answering(OK, OK))
    link = socket_dir / "link"
    link.symlink_to(others.address.path)
    with pytest.raises(CallFailed) as failed:
        loop_thread.call(connect(Address(path=str(link))))
    assert not failed.value.is_delivered
    with pytest.raises(OSError):
        unix_call(str(link), "GET", "/ping", timeout_s=5)
    assert others.n_connections == 0
    assert others.call().status == 200
