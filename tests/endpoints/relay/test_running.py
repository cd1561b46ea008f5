"""Which process of a machine serves its relay, and what keeps it from that."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from endpoints.relay.dial import RelayRefused
from endpoints.relay.encryption import listening_new
from endpoints.relay.place import RelayPlace
from endpoints.relay.running import relay_check, relay_serve
from endpoints.serving.address import Address
from tests.endpoints.relay.cast import KEY, Caller, call, echoing, replica_socket, story_run


def test_one_process_of_a_machine_serves_its_relay_and_the_other_takes_it_over(folder: Path) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            place = Address(host="127.0.0.1", port=probe.getsockname()[1])
        serve = [
            asyncio.create_task(relay_serve(RelayPlace(place, place), key=KEY, folder=folder))
            for _ in range(2)
        ]
        async with echoing(replica_socket(folder)):
            for task in serve:
                while True:
                    try:
                        caller = await call(place.port)
                        break
                    except OSError:
                        await asyncio.sleep(0.01)
                caller.transport.write(b"up")
                assert await caller.has(2) == b"up"
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await caller.ended.wait()

    story_run(story())


def test_an_address_of_another_machine_is_told_from_one_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = Address(host="127.0.0.1", port=taken.getsockname()[1])
        assert relay_check(RelayPlace(here, here)) == ""
    there = Address(host="192.0.2.1", port=9310)
    assert "this machine has no address '192.0.2.1'" in relay_check(RelayPlace(there, there))


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

    story_run(story())
    assert len(made) == 1


async def _until_there(port: int, *, name: str) -> Caller:
    while True:
        try:
            return await call(port, name=name)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
