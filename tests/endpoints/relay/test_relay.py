"""A listener and callers over real sockets, on one event loop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any, cast

import pytest

from endpoints.relay import handshake
from endpoints.relay.dial import RelayRefused, _Asking
from endpoints.relay.encryption import binding_of, listening_new
from endpoints.relay.handshake import Asked, Word, relay_key
from endpoints.relay.listener import RelayListener, _Greeting
from endpoints.relay.splice import SpliceEnd, splice
from endpoints.relay.targets import replica_name
from tests.endpoints.relay.cast import (
    KEY,
    UID,
    Caller,
    call,
    echoing,
    relay_listening,
    replica_socket,
    story_run,
)

MEBIBYTE = 2**20


def test_bytes_pass_both_ways_and_an_end_there_is_an_end_here(folder: Path) -> None:
    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder) as (relay, port):
            one, other = await call(port), await call(port)
            one.transport.write(b"one")
            other.transport.write(b"other")
            assert await one.has(3) == b"one"
            assert await other.has(5) == b"other"
            one.transport.write(b"bye")
            assert await one.has(6) == b"onebye"
            await one.ended.wait()
            other.transport.close()
            while relay.spliced:
                await asyncio.sleep(0.001)

    story_run(story())


def test_megabytes_pass_a_slow_reader_in_bounded_memory(folder: Path) -> None:
    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder) as (relay, port):
            caller = await call(port)
            sent = bytes(range(256)) * (64 * MEBIBYTE // 256 // 4)
            caller.transport.pause_reading()
            caller.transport.write(sent)
            await asyncio.sleep(0.3)  # long enough to fill every buffer on the way
            held = sum(end.transport.get_write_buffer_size() for end in relay.spliced if end.transport)
            assert held < 2 * MEBIBYTE
            caller.transport.resume_reading()
            assert await caller.has(len(sent)) == sent

    story_run(story())


def test_what_a_model_server_says_first_comes_behind_the_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = RelayListener._reach

    async def reach_one_who_speaks(self: RelayListener, name: str) -> SpliceEnd | None:
        end = await reach(self, name)
        assert end is not None
        end.data_received(b"too many")
        return end

    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder) as (_, port):
            monkeypatch.setattr(RelayListener, "_reach", reach_one_who_speaks)
            caller = await call(port)
            assert await caller.has(8) == b"too many"

    story_run(story())


def test_what_comes_right_behind_the_answer_is_the_callers_and_so_is_the_end() -> None:
    class Wire:
        """A connection whose other end is the test."""

        def __init__(self, protocol: asyncio.Protocol) -> None:
            self.protocol = protocol
            protocol.connection_made(cast(asyncio.Transport, self))

        def get_extra_info(self, name: str) -> Any:
            return self if name == "ssl_object" else None

        def getpeercert(self, binary_form: bool) -> bytes:
            return b"certificate"

        def set_protocol(self, protocol: asyncio.Protocol) -> None:
            self.protocol = protocol

        def write(self, data: bytes) -> None:
            known = {"key": KEY, "binding": binding_of(b"certificate"), "listener_nonce": b"n" * 32}
            asked = handshake.request_read(data, **known)
            assert asked is not None
            self.answer = handshake.answer(Word.CONNECTED, asked=asked, **known)

    async def story() -> None:
        asking = _Asking(asyncio.get_running_loop(), name="runs", key=KEY, protocol=Caller)
        wire = Wire(asking)
        wire.protocol.data_received(handshake.greeting(b"n" * 32))
        wire.protocol.data_received(wire.answer + b"ear")
        wire.protocol.data_received(b"ly")
        wire.protocol.connection_lost(None)
        caller = await asking.done
        assert bytes(caller.received) == b"early" and caller.ended.is_set()

    story_run(story())


def test_a_caller_who_leaves_as_he_is_led_on_leaves_nothing_behind(folder: Path) -> None:
    class Closing:
        def is_closing(self) -> bool:
            return True

        def write(self, data: bytes) -> None: ...

    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder) as (relay, _):
            there = await relay._reach(replica_name(UID))
            assert there is not None
            caller = _Greeting(relay)
            caller.connection_made(cast(asyncio.Transport, Closing()))
            caller.connected(Asked(replica_name(UID), b"n" * 32), there)
            while relay.spliced:
                await asyncio.sleep(0.001)

    story_run(story())


def test_another_key_gets_nowhere_and_hears_nothing(folder: Path) -> None:
    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder) as (relay, port):
            with pytest.raises(RelayRefused, match="secret key"):
                await call(port, key=relay_key("another"))
            assert not relay.spliced

    story_run(story())


def test_who_stands_between_with_a_certificate_of_his_own_is_noticed(folder: Path) -> None:
    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder) as (_, port):
            theirs = listening_new()

            async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                import ssl

                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                on, out = await asyncio.open_connection("127.0.0.1", port, ssl=context)

                async def pass_on(here: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
                    while data := await here.read(4096):
                        there.write(data)
                    there.close()

                await asyncio.gather(pass_on(reader, out), pass_on(on, writer))

            server = await asyncio.start_server(between, "127.0.0.1", 0, ssl=theirs.context)
            with pytest.raises(RelayRefused):
                await call(server.sockets[0].getsockname()[1])
            server.close()

    story_run(story())


@pytest.mark.parametrize(
    "name",
    ["gateway", "replica/../gateway", "replica/" + "z" * 20, "runs", "replica/0123456789abcdef/x", "web"],
)
def test_nothing_but_model_servers_and_the_socket_of_runs_has_a_name(folder: Path, name: str) -> None:
    async def story() -> None:
        for taken in ("gateway/gateway.sock", "web.sock"):
            (folder / taken).parent.mkdir(exist_ok=True)
            socket.socket(socket.AF_UNIX).bind(str(folder / taken))
        async with relay_listening(folder) as (_, port):
            with pytest.raises(RelayRefused, match="nobody listens"):
                await call(port, name=name)

    story_run(story())


def test_a_link_in_the_place_of_a_model_servers_socket_leads_nowhere(folder: Path) -> None:
    async def story() -> None:
        async with echoing(folder / "gateway" / "gateway.sock"), relay_listening(folder) as (_, port):
            replica_socket(folder).parent.mkdir(parents=True)
            replica_socket(folder).symlink_to(folder / "gateway" / "gateway.sock")
            with pytest.raises(RelayRefused, match="nobody listens"):
                await call(port)

    story_run(story())


def test_who_does_not_prove_himself_is_let_go_and_keeps_nobody_out_for_long(folder: Path) -> None:
    async def story() -> None:
        async with (
            echoing(replica_socket(folder)),
            relay_listening(folder, unproved_max=2, within_s=0.3) as (_, port),
        ):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            caller = await call(port)
            caller.transport.write(b"in")
            assert await caller.has(2) == b"in"
            assert await silent[0][0].read(1) == b""
            silent[1][1].write(b"GET / HTTP/1.1\r\n\r\n")

    story_run(story())


def test_no_more_are_connected_than_may_be(folder: Path) -> None:
    async def story() -> None:
        async with echoing(replica_socket(folder)), relay_listening(folder, connections_max=1) as (_, port):
            await call(port)
            with pytest.raises(RelayRefused, match="as many connections"):
                await call(port)

    story_run(story())


def test_a_model_server_that_takes_nobody_in_costs_no_place_for_good(folder: Path) -> None:
    async def story() -> None:
        path = replica_socket(folder)
        path.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as waiting:
            listening.bind(str(path))
            listening.listen(0)
            waiting.connect(str(path))  # from now on its queue is full
            async with relay_listening(folder, within_s=0.2) as (relay, port):
                with pytest.raises(RelayRefused):
                    await call(port)
                assert not relay.spliced

    story_run(story())


def test_something_else_that_listens_there_is_no_relay() -> None:
    async def story() -> None:
        async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(http, "127.0.0.1", 0)
        with pytest.raises(OSError):
            await call(server.sockets[0].getsockname()[1])
        server.close()

    story_run(story())


def test_a_half_that_ends_is_closed_alone_where_that_is_possible() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        (left, left_far), (right, right_far) = socket.socketpair(), socket.socketpair()
        for far in (left_far, right_far):
            far.setblocking(False)
        _, one = await loop.create_connection(SpliceEnd, sock=left)
        _, other = await loop.create_connection(SpliceEnd, sock=right)
        splice(one, other)
        await loop.sock_sendall(left_far, b"question")
        left_far.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(right_far, 100) == b"question"
        assert await loop.sock_recv(right_far, 100) == b""
        await loop.sock_sendall(right_far, b"answer")
        assert await loop.sock_recv(left_far, 100) == b"answer"
        right_far.close()
        assert await loop.sock_recv(left_far, 100) == b""
        left_far.close()

    story_run(story())
