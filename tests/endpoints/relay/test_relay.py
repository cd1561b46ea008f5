"""A listener and callers over real sockets, on one event loop."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from endpoints.relay import handshake
from endpoints.relay.dial import RelayRefused, _Asking, relay_connect
from endpoints.relay.encryption import binding_of, listening_new
from endpoints.relay.forwarder import RunsForwarder
from endpoints.relay.handshake import Asked, Word, relay_key
from endpoints.relay.listener import RelayListener, _Greeting
from endpoints.relay.place import RelayPlace
from endpoints.relay.running import relay_check, relay_serve
from endpoints.relay.splice import SpliceEnd, splice
from endpoints.relay.targets import replica_name
from endpoints.server_spec import socket_folder
from endpoints.serving.address import Address

KEY = relay_key("secret")
UID = "0123456789abcdefghijklmnop"
MEBIBYTE = 2**20


class Caller(asyncio.Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self._more = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._more.set()

    async def has(self, n_bytes: int) -> bytes:
        while len(self.received) < n_bytes and not self.ended.is_set():
            self._more.clear()
            await self._more.wait()
        return bytes(self.received)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mlp-relay-") as name:
        yield Path(name)


def _run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says back what it hears, and `bye` ends it."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
        if data == b"bye":
            break
    writer.close()


@asynccontextmanager
async def _echoing(path: Path) -> AsyncIterator[asyncio.Server]:
    path.parent.mkdir(parents=True, exist_ok=True)
    server = await asyncio.start_unix_server(_echo, str(path))
    yield server
    server.close()


def _replica(folder: Path) -> Path:
    return socket_folder(folder / "replicas", uid=UID) / "model.sock"


@asynccontextmanager
async def _relay(folder: Path, **options: Any) -> AsyncIterator[tuple[RelayListener, int]]:
    relay = RelayListener(key=KEY, folder=folder, **options)
    port = relay.listen(Address(host="127.0.0.1", port=0))
    yield relay, port
    await relay.close()


async def _call(port: int, *, name: str = replica_name(UID), key: bytes = KEY) -> Caller:
    return await relay_connect(host="127.0.0.1", port=port, name=name, key=key, protocol=Caller)


def test_bytes_pass_both_ways_and_an_end_there_is_an_end_here(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(_replica(folder)), _relay(folder) as (relay, port):
            one, other = await _call(port), await _call(port)
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

    _run(story())


def test_megabytes_pass_a_slow_reader_in_bounded_memory(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(_replica(folder)), _relay(folder) as (relay, port):
            caller = await _call(port)
            sent = bytes(range(256)) * (64 * MEBIBYTE // 256 // 4)
            caller.transport.pause_reading()
            caller.transport.write(sent)
            await asyncio.sleep(0.3)  # long enough to fill every buffer on the way
            held = sum(end.transport.get_write_buffer_size() for end in relay.spliced if end.transport)
            assert held < 2 * MEBIBYTE
            caller.transport.resume_reading()
            assert await caller.has(len(sent)) == sent

    _run(story())


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
        async with _echoing(_replica(folder)), _relay(folder) as (_, port):
            monkeypatch.setattr(RelayListener, "_reach", reach_one_who_speaks)
            caller = await _call(port)
            assert await caller.has(8) == b"too many"

    _run(story())


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

    _run(story())


def test_a_caller_who_leaves_as_he_is_led_on_leaves_nothing_behind(folder: Path) -> None:
    class Closing:
        def is_closing(self) -> bool:
            return True

        def write(self, data: bytes) -> None: ...

    async def story() -> None:
        async with _echoing(_replica(folder)), _relay(folder) as (relay, _):
            there = await relay._reach(replica_name(UID))
            assert there is not None
            caller = _Greeting(relay)
            caller.connection_made(cast(asyncio.Transport, Closing()))
            caller.connected(Asked(replica_name(UID), b"n" * 32), there)
            while relay.spliced:
                await asyncio.sleep(0.001)

    _run(story())


def test_another_key_gets_nowhere_and_hears_nothing(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(_replica(folder)), _relay(folder) as (relay, port):
            with pytest.raises(RelayRefused, match="secret key"):
                await _call(port, key=relay_key("another"))
            assert not relay.spliced

    _run(story())


def test_who_stands_between_with_a_certificate_of_his_own_is_noticed(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(_replica(folder)), _relay(folder) as (_, port):
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
                await _call(server.sockets[0].getsockname()[1])
            server.close()

    _run(story())


@pytest.mark.parametrize(
    "name",
    ["gateway", "replica/../gateway", "replica/" + "z" * 20, "runs", "replica/0123456789abcdef/x", "web"],
)
def test_nothing_but_model_servers_and_the_socket_of_runs_has_a_name(folder: Path, name: str) -> None:
    async def story() -> None:
        for taken in ("gateway/gateway.sock", "web.sock"):
            (folder / taken).parent.mkdir(exist_ok=True)
            socket.socket(socket.AF_UNIX).bind(str(folder / taken))
        async with _relay(folder) as (_, port):
            with pytest.raises(RelayRefused, match="nobody listens"):
                await _call(port, name=name)

    _run(story())


def test_a_link_in_the_place_of_a_model_servers_socket_leads_nowhere(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(folder / "gateway" / "gateway.sock"), _relay(folder) as (_, port):
            _replica(folder).parent.mkdir(parents=True)
            _replica(folder).symlink_to(folder / "gateway" / "gateway.sock")
            with pytest.raises(RelayRefused, match="nobody listens"):
                await _call(port)

    _run(story())


def test_who_does_not_prove_himself_is_let_go_and_keeps_nobody_out_for_long(folder: Path) -> None:
    async def story() -> None:
        async with (
            _echoing(_replica(folder)),
            _relay(folder, unproved_max=2, within_s=0.3) as (_, port),
        ):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            caller = await _call(port)
            caller.transport.write(b"in")
            assert await caller.has(2) == b"in"
            assert await silent[0][0].read(1) == b""
            silent[1][1].write(b"GET / HTTP/1.1\r\n\r\n")

    _run(story())


def test_no_more_are_connected_than_may_be(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(_replica(folder)), _relay(folder, connections_max=1) as (_, port):
            await _call(port)
            with pytest.raises(RelayRefused, match="as many connections"):
                await _call(port)

    _run(story())


def test_something_else_that_listens_there_is_no_relay() -> None:
    async def story() -> None:
        async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(http, "127.0.0.1", 0)
        with pytest.raises(OSError):
            await _call(server.sockets[0].getsockname()[1])
        server.close()

    _run(story())


def test_one_process_of_a_machine_serves_its_relay_and_the_other_takes_it_over(folder: Path) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            place = Address(host="127.0.0.1", port=probe.getsockname()[1])
        serve = [
            asyncio.create_task(relay_serve(RelayPlace(place, place), key=KEY, folder=folder))
            for _ in range(2)
        ]
        async with _echoing(_replica(folder)):
            for task in serve:
                while True:
                    try:
                        caller = await _call(place.port)
                        break
                    except OSError:
                        await asyncio.sleep(0.01)
                caller.transport.write(b"up")
                assert await caller.has(2) == b"up"
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await caller.ended.wait()

    _run(story())


def test_an_address_of_another_machine_is_told_from_one_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = Address(host="127.0.0.1", port=taken.getsockname()[1])
        assert relay_check(RelayPlace(here, here)) == ""
    there = Address(host="192.0.2.1", port=9310)
    assert "this machine has no address '192.0.2.1'" in relay_check(RelayPlace(there, there))


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

    _run(story())


def test_runs_of_a_machine_without_gateway_reach_one_elsewhere(folder: Path) -> None:
    async def story() -> None:
        there, here = folder / "there", folder / "here"
        there.mkdir(), here.mkdir()
        async with _echoing(there / "runs" / "runs.sock"), _relay(there) as (_, port):
            forwarder = RunsForwarder(key=KEY, folder=here)
            forwarder.lead_to([Address(host="127.0.0.1", port=1), Address(host="127.0.0.1", port=port)])
            task = asyncio.create_task(forwarder.run())
            while not (here / "runs.sock").exists():
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_unix_connection(str((here / "runs.sock").resolve()))
            writer.write(b"token")
            assert await reader.readexactly(5) == b"token"
            assert (here / "runs.sock").resolve().parent.name == "runs-elsewhere"
            forwarder.lead_to([])
            reader, writer = await asyncio.open_unix_connection(str(here / "runs.sock"))
            assert await reader.read() == b""
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert not (here / "runs.sock").is_symlink()

    _run(story())


async def _leads(link: Path, wanted: str) -> None:
    while not link.is_symlink() or str(link.readlink()) != wanted:
        await asyncio.sleep(0.01)


def test_a_gateway_that_begins_here_has_the_name_also_where_we_took_it_once_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoints.relay.forwarder._LOOK_EVERY_S", 0.01)

    async def story() -> None:
        forwarder = RunsForwarder(key=KEY, folder=folder)
        forwarder.lead_to([Address(host="127.0.0.1", port=1)])
        task = asyncio.create_task(forwarder.run())
        link = folder / "runs.sock"
        await _leads(link, "runs-elsewhere/runs.sock")
        link.unlink()
        link.symlink_to("runs/runs.sock")  # the gateway's first step; it does not listen yet
        await _leads(link, "runs-elsewhere/runs.sock")
        async with _echoing(folder / "runs" / "runs.sock"):
            await _leads(link, "runs/runs.sock")
        await _leads(link, "runs-elsewhere/runs.sock")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    _run(story())


def test_a_folder_that_takes_no_socket_now_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("endpoints.relay.forwarder._LOOK_EVERY_S", 0.01)

    async def story() -> None:
        (folder / "runs-elsewhere").write_text("a file where a folder should be")
        forwarder = RunsForwarder(key=KEY, folder=folder)
        forwarder.lead_to([Address(host="127.0.0.1", port=1)])
        task = asyncio.create_task(forwarder.run())
        await asyncio.sleep(0.05)
        (folder / "runs-elsewhere").unlink()
        await _leads(folder / "runs.sock", "runs-elsewhere/runs.sock")
        assert len([one for one in caplog.records if "do not reach a gateway" in one.message]) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    _run(story())


def test_who_stands_by_makes_one_certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr("endpoints.relay.running.AGAIN_S", 0.01)
    monkeypatch.setattr(
        "endpoints.relay.listener.listening_new", lambda: made.append(one := listening_new()) or one
    )

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            place = Address(host="127.0.0.1", port=taken.getsockname()[1])
            task = asyncio.create_task(relay_serve(RelayPlace(place, place), key=KEY, folder=folder))
            await asyncio.sleep(0.1)
        caller = asyncio.create_task(_until_there(place.port, name="runs"))
        with pytest.raises(RelayRefused, match="nobody listens"):
            await caller
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    _run(story())
    assert len(made) == 1


async def _until_there(port: int, *, name: str) -> Caller:
    while True:
        try:
            return await _call(port, name=name)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)


def test_where_a_gateway_runs_its_own_socket_stays(folder: Path) -> None:
    async def story() -> None:
        async with _echoing(folder / "runs" / "runs.sock"):
            (folder / "runs.sock").symlink_to("runs/runs.sock")
            forwarder = RunsForwarder(key=KEY, folder=folder)
            forwarder.lead_to([Address(host="127.0.0.1", port=1)])
            task = asyncio.create_task(forwarder.run())
            await asyncio.sleep(0.05)
            assert str((folder / "runs.sock").readlink()) == "runs/runs.sock"
            task.cancel()

    _run(story())
