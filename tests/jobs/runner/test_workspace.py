"""The folder of an attempt: channels by link or pipe, configuration as the service writes it, removal of anything."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from jobs.runner.workspace import ChannelFeeder, ChannelSource, Workspace, _clone
from mlplatform.core.errors import NotFound
from mlplatform.core.storage.store import ObjectStore
from tests.polling import wait_until

URI = "s3://mlplatform-123456789012/data/one.csv"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    store = ObjectStore(f"file://{tmp_path / 'store'}")
    store.put_bytes(b"1,2\n3,4\n", URI)
    return store


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work" / "uid-1")
    workspace.make()
    return workspace


def _channel(mode: str = "File") -> ChannelSource:
    return ChannelSource("train", (URI,), "text/csv", mode, ".csv")


def test_a_file_channel_is_there_without_a_copy(
    workspace: Workspace, store: ObjectStore, tmp_path: Path
) -> None:
    n_bytes = workspace.place(_channel(), store)
    placed = workspace.root / "input/data/train/part-00000.csv"
    assert (n_bytes, placed.read_bytes()) == (8, b"1,2\n3,4\n")
    source = store.local_path(URI)
    assert source is not None
    cloned = _clone(source, tmp_path / "clone")
    assert cloned or placed.stat().st_ino == source.stat().st_ino


def test_data_that_is_gone_is_not_found(workspace: Workspace, store: ObjectStore) -> None:
    store.delete([URI])
    with pytest.raises(NotFound):
        workspace.place(_channel(), store)


def test_a_pipe_channel_gives_every_epoch_all_the_data(workspace: Workspace, store: ObjectStore) -> None:
    big = "s3://mlplatform-123456789012/data/big.csv"
    content = b"0123456789\n" * 300_000
    store.put_bytes(content, big)
    channel = ChannelSource("train", (URI, big), "text/csv", "Pipe")
    workspace.place(channel, store)
    feeder = ChannelFeeder(workspace, channel, store)
    feeder.start()
    for epoch in range(3):
        assert workspace.pipe("train", epoch).read_bytes() == b"1,2\n3,4\n" + content
    feeder.end()
    assert not feeder.is_alive()
    assert feeder.error is None


def test_a_reader_that_stops_early_gets_the_next_epoch_from_the_beginning(
    workspace: Workspace, store: ObjectStore
) -> None:
    big = "s3://mlplatform-123456789012/data/big.csv"
    store.put_bytes(b"x" * 5_000_000, big)
    channel = ChannelSource("train", (big,), "text/csv", "Pipe")
    workspace.place(channel, store)
    feeder = ChannelFeeder(workspace, channel, store)
    feeder.start()
    with workspace.pipe("train", 0).open("rb") as pipe:
        assert pipe.read(10) == b"x" * 10
    assert len(workspace.pipe("train", 1).read_bytes()) == 5_000_000
    feeder.end()
    assert not feeder.is_alive()


def test_a_pipe_nobody_reads_does_not_keep_the_worker(workspace: Workspace, store: ObjectStore) -> None:
    workspace.place(_channel("Pipe"), store)
    feeder = ChannelFeeder(workspace, _channel("Pipe"), store)
    feeder.start()
    feeder.end()
    assert not feeder.is_alive()


def test_a_store_that_says_nothing_is_waited_for_once(
    workspace: Workspace, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.runner.workspace.END_WITHIN_S", 0.3)
    source = store.local_path(URI)
    assert source is not None
    source.unlink()
    os.mkfifo(source)
    silent = os.open(source, os.O_RDWR)
    workspace.place(_channel("Pipe"), store)
    feeder = ChannelFeeder(workspace, _channel("Pipe"), store)
    feeder.start()
    reader = os.open(workspace.pipe("train", 0), os.O_RDONLY)
    began_at = time.monotonic()
    for _ in range(20):
        feeder.end()
    assert 0.25 < time.monotonic() - began_at < 3.0
    assert feeder.is_alive()
    os.write(silent, b"1,2\n")
    os.close(silent)
    os.close(reader)
    feeder.join(10)
    assert not feeder.is_alive()


def test_data_that_is_gone_ends_the_pipe_and_is_the_error(workspace: Workspace, store: ObjectStore) -> None:
    workspace.place(_channel("Pipe"), store)
    feeder = ChannelFeeder(workspace, _channel("Pipe"), store)
    store.delete([URI])
    feeder.start()
    assert workspace.pipe("train", 0).read_bytes() == b""
    wait_until(lambda: feeder.error is not None, what="the feeder's error")
    assert isinstance(feeder.error, OSError | NotFound)
    feeder.end()


def test_the_configuration_is_the_services(workspace: Workspace) -> None:
    workspace.configure(hyperparameters={"k": "1"}, channels=[_channel()], instance_type="ml.m5.large")
    config = workspace.root / "input" / "config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"k": "1"}
    assert json.loads((config / "inputdataconfig.json").read_text())["train"]["TrainingInputMode"] == "File"
    resource = json.loads((config / "resourceconfig.json").read_text())
    assert (resource["current_host"], resource["hosts"]) == ("algo-1", ["algo-1"])


def test_whatever_a_job_left_is_removed_and_nothing_else(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    deep = workspace.root / "model" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (workspace.root / "model" / "link").symlink_to(outside)
    os.mkfifo(workspace.root / "model" / "pipe")
    deep.chmod(0)
    workspace.remove()
    assert not workspace.root.exists()
    assert (outside / "precious").read_text() == "kept"


def test_removing_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    Workspace(tmp_path / "nothing").remove()


def test_two_workspaces_can_be_made_at_once(tmp_path: Path) -> None:
    workspaces = [Workspace(tmp_path / "work" / f"uid-{n}") for n in range(8)]
    threads = [threading.Thread(target=workspace.make) for workspace in workspaces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(workspace.model_dir.is_dir() for workspace in workspaces)
