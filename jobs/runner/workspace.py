"""The `/opt/ml`-shaped folder of one attempt: made before the process starts, removed after its outcome is
written. Django-free.

    input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
    input/data/<channel>/            File mode: the objects, by hard link where the store is on the same disk
    input/data/<channel>_<epoch>     Pipe mode: a FIFO per epoch, fed by a thread of the worker
    (`ChannelFeeder`) model/  output/{data,failure,failure.json,model_facts.json}  checkpoints/  code/  tmp/

Folder names come from ids and declared channel names, never from what a person typed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.runner.sandbox import hand_over
from mlplatform.core.storage.store import ObjectStore
from mlplatform.core.storage.trees import tree_remove

HOST: Final = "algo-1"
INSTANCE_GROUP: Final = "homogeneousCluster"
"""What the service calls the one group of instances that are all of one type."""
_FOLDERS: Final = (
    "input/config",
    "input/data",
    "model",
    "output/data",
    "checkpoints",
    "code",
    "tmp/shm",
)
_FICLONE: Final = 0x40049409
_COPY_BYTES: Final = 1024 * 1024
_SHARED_MODE: Final = 0o444
_POLL_S: Final = 0.02


@dataclass(frozen=True)
class ChannelSource:
    """A channel and the objects it is made of.

    Args:
        suffix: Ends the names of its files, for instance `.csv`, where they are numbered.
        files: Their paths in the channel's folder, one for each object; empty: numbered.
    """

    name: str
    uris: tuple[str, ...]
    content_type: str
    input_mode: str
    suffix: str = ""
    files: tuple[str, ...] = ()

    def placed(self) -> list[tuple[str, str]]:
        """Each object, and where in the channel's folder it goes."""
        numbered = (f"part-{index:05d}{self.suffix}" for index in range(len(self.uris)))
        return list(zip(self.uris, self.files or numbered, strict=True))


class Workspace:
    """The folder `root` of one attempt."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._user = 0
        self._alias: Path | None = None
        self._emptied: Path | None = None

    @property
    def model_dir(self) -> Path:
        return self.root / "model"

    @property
    def output_dir(self) -> Path:
        return self.root / "output"

    @property
    def code_dir(self) -> Path:
        return self.root / "code"

    @property
    def written_dirs(self) -> tuple[Path, ...]:
        """Where the job may write."""
        names = ("model", "model.partial", "output", "checkpoints", "code", "tmp")
        return tuple(self.root / name for name in names)

    def make(self) -> None:
        """Makes the empty folders; what an earlier run of the same attempt left is removed."""
        self.remove()
        for folder in _FOLDERS:
            (self.root / folder).mkdir(parents=True, mode=0o700)

    def configure(
        self,
        *,
        hyperparameters: Mapping[str, str],
        channels: Sequence[ChannelSource],
        instance_type: str,
    ) -> None:
        """Writes the service's three configuration files."""
        self._write("hyperparameters", dict(hyperparameters))
        self._write(
            "inputdataconfig",
            {
                channel.name: {
                    "ContentType": channel.content_type,
                    "TrainingInputMode": channel.input_mode,
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": "None",
                }
                for channel in channels
            },
        )
        self._write(
            "resourceconfig",
            {
                "current_host": HOST,
                "hosts": [HOST],
                "network_interface_name": "lo",
                "current_instance_type": instance_type,
                "current_group_name": INSTANCE_GROUP,
                "instance_groups": [
                    {
                        "instance_group_name": INSTANCE_GROUP,
                        "instance_type": instance_type,
                        "hosts": [HOST],
                    }
                ],
            },
        )

    def place(self, channel: ChannelSource, store: ObjectStore) -> int:
        """Puts a channel where the job looks for it; returns its bytes, 0 in Pipe mode. Raises NotFound,
        TransientError.
        """
        if channel.input_mode == "Pipe":
            self.pipe_make(channel.name, 0)
            return 0
        folder = self.root / "input" / "data" / channel.name
        folder.mkdir(mode=0o700)
        n_bytes = 0
        for uri, name in channel.placed():
            target = folder / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _place(uri, target, store)
            n_bytes += target.stat().st_size
        return n_bytes

    def pipe(self, channel: str, epoch: int) -> Path:
        return self.root / "input" / "data" / f"{channel}_{epoch}"

    def pipe_make(self, channel: str, epoch: int) -> None:
        pipe = self.pipe(channel, epoch)
        os.mkfifo(pipe, 0o600)
        if self._user:
            os.chown(pipe, self._user, self._user)

    def hand_over(self, user: int) -> None:
        """Gives the folder, and the pipes to come, to the user that the job runs as; 0 for our own."""
        self._user = user
        hand_over(self.root, user)

    def private_dir(self) -> Path:
        """A new folder for the platform's own files, to be asked for when the job's processes are gone: what they left
        under a known name may be a link to anywhere.
        """
        return Path(tempfile.mkdtemp(prefix="platform-", dir=self.root))

    def move_into(self, folder: Path, *, emptied: Path) -> None:
        """Moves what is in the folder into `folder`, which has the same folders with nothing in them, and gives that
        the name of this one. A link by its former name leads to it.

        The folders themselves stay those that they were: a process may have been started with them.

        Args:
            emptied: What the former folder is called until this is removed: a job need not wait for the removal.
        """
        _move_contents(self.root, folder)
        self._emptied = emptied
        self.root.rename(emptied)
        folder.rename(self.root)
        folder.symlink_to(self.root.name)
        self._alias = folder

    def remove(self) -> None:
        """Removes the folder, whatever the job made in it."""
        try:
            tree_remove(self.root)
        finally:  # by their names a living worker has these, and nobody else removes them
            if self._alias is not None:
                self._alias.unlink(missing_ok=True)
            if self._emptied is not None:
                tree_remove(self._emptied)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path = self.root / "input" / "config" / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


END_WITHIN_S: Final = 5.0


class ChannelFeeder(threading.Thread):
    """Writes a channel's objects into its FIFO, epoch after epoch, for as long as somebody opens the next
    one.
    """

    def __init__(self, workspace: Workspace, channel: ChannelSource, store: ObjectStore) -> None:
        super().__init__(name=f"feed-{channel.name}", daemon=True)
        self._workspace = workspace
        self._channel = channel
        self._store = store
        self._ended = threading.Event()
        self._waited_until: float | None = None
        self.error: Exception | None = None
        self.n_bytes = 0

    def run(self) -> None:
        epoch = 0
        try:
            while not self._ended.is_set():
                if not self._feed(epoch):
                    return
                epoch += 1
        except Exception as error:
            # The job sees its pipe end early; the worker reports this as the reason.
            self.error = error

    def end(self) -> None:
        """Stops waiting for a reader. Call after the job's processes are gone: a pipe without reader ends a
        write. A store that does not answer is not waited for longer than `END_WITHIN_S`, however often this is called.
        """
        self._ended.set()
        if self._waited_until is None:
            self._waited_until = time.monotonic() + END_WITHIN_S
        self.join(timeout=max(0.0, self._waited_until - time.monotonic()))

    def _feed(self, epoch: int) -> bool:
        descriptor = self._open(self._workspace.pipe(self._channel.name, epoch))
        if descriptor is None:
            return False
        try:
            # The next pipe is there before this one ends, so that a reader never has to wait for it to appear.
            self._workspace.pipe_make(self._channel.name, epoch + 1)
            for piece in self._pieces():
                _write_all(descriptor, piece)
                self.n_bytes += len(piece)
        except BrokenPipeError:
            pass
        finally:
            os.close(descriptor)
        return True

    def _open(self, pipe: Path) -> int | None:
        """The pipe for writing once somebody reads it; None when the job has ended."""
        while not self._ended.is_set():
            try:
                descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                time.sleep(_POLL_S)
                continue
            os.set_blocking(descriptor, True)
            return descriptor
        return None

    def _pieces(self) -> Iterator[bytes]:
        for uri in self._channel.uris:
            path = self._store.local_path(uri)
            if path is None:
                yield from self._store.chunks(uri)
                continue
            with path.open("rb") as file:
                while piece := file.read(_COPY_BYTES):
                    yield piece


def _move_contents(source: Path, target: Path) -> None:
    for path in source.iterdir():
        there = target / path.name
        if path.is_dir() and there.is_dir():
            _move_contents(path, there)
        else:
            path.rename(there)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _place(uri: str, target: Path, store: ObjectStore) -> None:
    """By copy-on-write clone, else hard link, else a copy: read once, and on one disk never copied."""
    source = store.local_path(uri)
    if source is None or not source.is_file():
        store.download(uri, target)
        return
    if _clone(source, target):
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        return
    # It is the object itself. In a sandbox its folder cannot be written; elsewhere this is what keeps a job from it.
    with contextlib.suppress(PermissionError):
        target.chmod(_SHARED_MODE)


def _clone(source: Path, target: Path) -> bool:
    try:
        with source.open("rb") as original, target.open("xb") as clone:
            fcntl.ioctl(clone.fileno(), _FICLONE, original.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        return False
    return True
