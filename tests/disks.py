"""File systems of a test's own: small ones that can be filled, emptied, and made read-only.

A tmpfs is mounted, for which a test run needs root's rights; where it has not got them its tests are skipped, and say
so. As root with `CI=true` a disk that cannot be had for another reason fails the test.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 2**20
_FILES = 4000
_FILLER = ".filler"


class Disk:
    """A mounted file system. `fill` leaves no room for anything, `free` makes it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / _FILLER

    def fill(self, *, but_bytes: int = 0) -> None:
        """Takes all room but so many bytes; with none left, no file or folder can be made either."""
        self._filler.mkdir(exist_ok=True)
        free = os.statvfs(self.path)
        with (self._filler / "bytes").open("ab") as file:
            wanted = free.f_bavail * free.f_frsize - but_bytes
            if wanted > 0:
                # Who else writes to the disk may take some of it meanwhile.
                with contextlib.nullcontext() if but_bytes else contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), file.tell(), wanted)
        if not but_bytes:
            self._take_every_name()
            with (self._filler / "bytes").open("ab") as file:
                for size in (MIB, 4096):
                    with contextlib.suppress(OSError):
                        while True:
                            os.write(file.fileno(), b"x" * size)

    def free(self) -> None:
        subprocess.run(["rm", "-rf", str(self._filler)], check=True)

    def resize(self, size_bytes: int) -> None:
        _mount("-o", f"remount,size={size_bytes}", str(self.path))

    def read_only(self) -> None:
        """Fails while anybody has a file on it open for writing."""
        _mount("-o", "remount,ro", str(self.path))

    def writable(self) -> None:
        _mount("-o", "remount,rw", str(self.path))

    def _take_every_name(self) -> None:
        with contextlib.suppress(OSError):
            for number in range(_FILES):
                (self._filler / str(number)).touch()


@contextlib.contextmanager
def disk_mounted(path: Path, *, size_bytes: int) -> Iterator[Disk]:
    """A file system of that size at `path`, gone afterwards with all that is on it."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={size_bytes},nr_inodes={_FILES},mode=0700", "tmpfs", str(path))
    except PermissionError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _mount(*arguments: str) -> None:
    """Raises PermissionError where this process may not mount at all."""
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, "it needs root")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode == 0:
        return
    if "permission denied" in done.stderr.lower() or "not permitted" in done.stderr.lower():
        raise PermissionError(errno.EPERM, done.stderr.strip())
    raise AssertionError(f"mount {' '.join(arguments)}: {done.stderr}")
