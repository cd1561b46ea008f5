"""The socket of runs on a machine without a gateway, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from endpoints.relay.forwarder import RunsForwarder
from endpoints.serving.address import Address
from tests.endpoints.relay.cast import KEY, echoing, relay_listening, story_run


def test_runs_of_a_machine_without_gateway_reach_one_elsewhere(folder: Path) -> None:
    async def story() -> None:
        there, here = folder / "there", folder / "here"
        there.mkdir(), here.mkdir()
        async with echoing(there / "runs" / "runs.sock"), relay_listening(there) as (_, port):
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

    story_run(story())


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
        async with echoing(folder / "runs" / "runs.sock"):
            await _leads(link, "runs/runs.sock")
        await _leads(link, "runs-elsewhere/runs.sock")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    story_run(story())


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

    story_run(story())


def test_where_a_gateway_runs_its_own_socket_stays(folder: Path) -> None:
    async def story() -> None:
        async with echoing(folder / "runs" / "runs.sock"):
            (folder / "runs.sock").symlink_to("runs/runs.sock")
            forwarder = RunsForwarder(key=KEY, folder=folder)
            forwarder.lead_to([Address(host="127.0.0.1", port=1)])
            task = asyncio.create_task(forwarder.run())
            await asyncio.sleep(0.05)
            assert str((folder / "runs.sock").readlink()) == "runs/runs.sock"
            task.cancel()

    story_run(story())
