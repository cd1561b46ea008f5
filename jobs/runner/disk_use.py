"""How much is on disk in the folders that a job writes to. Django-free. Called by `jobs.runner.follow` only.

A process of its own looks (`du`), so that whoever follows the job never waits for it however many files there are. It
follows no link, counts what a folder itself takes too, and goes as deep as there are folders.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_REST: Final = 20
"""Of the time that looking took there is so much more before the next look."""
_BLOCK_BYTES: Final = 1024


class DiskUse:
    """Looks at some folders again and again.

    Args:
        every_s: From one look to the next, at least.
        now: On the same clock as that of `look`.
    """

    def __init__(self, folders: Sequence[Path], *, every_s: float, now: float) -> None:
        self._folders = folders
        self._every_s = every_s
        self._begun = now
        self._next_at = now + every_s
        self._looking: subprocess.Popen[bytes] | None = None

    def look(self, now: float) -> int | None:
        """Bytes in all folders together, where a look has just ended; None while there is nothing new."""
        if self._looking is None:
            if now >= self._next_at:
                self._begun = now
                self._looking = folders_look(self._folders)
            return None
        if self._looking.poll() is None:
            return None
        found = folders_bytes(self._looking)
        self._looking = None
        self._next_at = max(self._begun + self._every_s, now + _REST * (now - self._begun))
        return found

    def close(self) -> None:
        if self._looking is not None:
            self._looking.kill()
            self._looking.communicate()
            self._looking = None


def folders_look(folders: Sequence[Path]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["du", "-skx", "--", *folders],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # of what vanished meanwhile, or is not there yet
    )


def folders_bytes(looking: subprocess.Popen[bytes]) -> int:
    """What it has found. Waits for its end."""
    said, _ = looking.communicate()
    total = 0
    for line in said.splitlines():
        with contextlib.suppress(ValueError):
            total += int(line.partition(b"\t")[0]) * _BLOCK_BYTES
    return total
