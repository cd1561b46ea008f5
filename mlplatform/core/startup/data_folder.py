"""The data directory of a start: made, checked, locked, with its secret key. Django-free."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlplatform.core.env import env_text, runtime_dir
from mlplatform.core.startup.options import Options, StartRefused

FOLDERS = ("store", "work", "models", "tmp", "logs")
LOCK = "up.lock"


def data_folder_prepare(options: Options) -> None:
    """Makes the data directory and the folder of sockets, both readable by this user alone.

    Raises:
        StartRefused: It is not a directory, cannot be made, or cannot be written.
    """
    folder = options.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x" * 4096)
    except OSError as error:
        raise StartRefused(
            f"the data directory {folder} cannot be used: {error.strerror}. "
            "Choose one that this user may write: --data-dir DIR or MLPLATFORM_DATA_DIR"
        ) from None
    _runtime_folder_prepare(runtime_dir())
    if not env_text("MLPLATFORM_SECRET_KEY"):
        _secret_key_ensure(folder / "secret_key")


@contextlib.contextmanager
def data_folder_lock(options: Options) -> Iterator[None]:
    """Holds the data directory for this process; the kernel lets go of it however the process ends.

    Raises:
        StartRefused: Another platform runs on it.
    """
    path = options.data_dir / LOCK
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise StartRefused(
                f"a platform already runs on the data directory {options.data_dir}: {holder}. "
                "Open that one, end it, or choose another directory with --data-dir (and another --port)"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}, {options.url}\n")
        file.flush()
        yield


def sockets_remove() -> None:
    """Removes sockets of a platform that did not end in order. Only for the holder of the lock."""
    for path in runtime_dir().rglob("*.sock"):
        path.unlink(missing_ok=True)


def _runtime_folder_prepare(folder: Path) -> None:
    """The folder may lie under the system's temporary one, where another user could have made it first."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "replicas").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartRefused(f"the folder of sockets {folder} cannot be used: {error.strerror}") from None
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid():
        raise StartRefused(
            f"the folder of sockets {folder} belongs to another user: remove it, or set --data-dir"
        )
    folder.chmod(0o700)


def _secret_key_ensure(path: Path) -> None:
    """Makes the key that signs sessions, whole or not at all, so that no process reads an empty one."""
    if path.exists():
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as file:  # made with mode 0600
        file.write(secrets.token_urlsafe(48))
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
