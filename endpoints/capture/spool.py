"""Captured records on this machine's disk, until they are in the object store: one open file for each variant.

A record is one `write` of a whole line, which the system has when it returns: it is there whatever becomes of the
process. Nothing is brought to the disk by force; a power cut may take the last seconds. A file is closed when it is old
or full and is the uploader's from then on; while it is open it is locked, and the system ends the lock with the
process. Used on the event loop only, but for `measured`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from endpoints.capture.rule import CapturePlace
from endpoints.capture.spool_files import BEGUN, PLACE, RECORDS, place_write, spool_stem_new
from mlplatform.core.amounts import size_text
from mlplatform.core.text import Text
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class SpoolLimits:
    """How much a spool takes in.

    Attributes:
        total_bytes: Of all files together; beyond it nothing more is captured.
        file_bytes: A file of so much is closed.
        age_s: One that was begun so long ago too.
        record_bytes: A longer record is not captured.
        n_files: Open at once.
    """

    total_bytes: int = 1024**3
    file_bytes: int = 8 * 1024**2
    age_s: float = 60.0
    record_bytes: int = 8 * 1024**2
    n_files: int = 512


class SpoolRefused(Exception):
    """Nothing more is taken in now; the words are for people."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


@dataclass(slots=True)
class _Open:
    fd: int
    hour: int
    begun_at: float
    n_bytes: int = 0


class Spool:
    """The files of one process in `folder`, which others may have left files in."""

    def __init__(self, folder: Path, limits: SpoolLimits) -> None:
        self.folder = folder
        self.limits = limits
        self._files: dict[CapturePlace, _Open] = {}
        self._n_bytes = 0
        self._low: Text | None = None

    def append(self, place: CapturePlace, line: bytes, *, now: float) -> None:
        """Takes a record in, wholly or not at all.

        Args:
            now: Seconds since the epoch.

        Raises:
            SpoolRefused: It has all that it may have, or its disk is about to be full.
            OSError: It cannot be written.
        """
        if self._low is not None:
            raise SpoolRefused(self._low)
        if self._n_bytes + len(line) > self.limits.total_bytes:
            raise SpoolRefused(_full(self.limits.total_bytes))
        file = self._files.get(place)
        if file is None or file.hour != now // 3600 or file.n_bytes >= self.limits.file_bytes:
            file = self._begin(place, now)
        written = os.write(file.fd, line)
        if written != len(line):
            self._take_back(place, file)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.n_bytes += written
        self._n_bytes += written

    def measured(self, *, n_bytes: int, low: Text | None) -> None:
        """What the uploader has found, from its thread: bytes of all files; why the disk takes no more, if so."""
        self._n_bytes, self._low = n_bytes, low

    def close_old(self, *, now: float) -> None:
        """Hands over what is old enough; a clock that was set back makes everything old."""
        for place, file in list(self._files.items()):
            if not 0 <= now - file.begun_at < self.limits.age_s:
                self._close(place)

    def close(self) -> None:
        for place in list(self._files):
            self._close(place)

    def _begin(self, place: CapturePlace, now: float) -> _Open:
        """A file of its own name; one that nobody has locked yet has another name, so that nobody takes it away."""
        self._close(place)
        if len(self._files) >= self.limits.n_files:
            self._close(min(self._files, key=lambda each: self._files[each].begun_at))
        stem = spool_stem_new(now=now)
        begun, beside = self.folder / f"{stem}{BEGUN}", self.folder / f"{stem}{PLACE}"
        fd = -1
        try:
            place_write(beside, place)
            fd = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            begun.rename(self.folder / f"{stem}{RECORDS}")
        except OSError:
            if fd >= 0:
                os.close(fd)
            for path in (begun, beside):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise
        file = self._files[place] = _Open(fd, int(now // 3600), now)
        return file

    def _take_back(self, place: CapturePlace, file: _Open) -> None:
        """Half a line goes again; where that is impossible the file is closed, and the uploader cuts it off."""
        try:
            os.ftruncate(file.fd, file.n_bytes)
        except OSError:
            self._close(place)

    def _close(self, place: CapturePlace) -> None:
        file = self._files.pop(place, None)
        if file is not None:
            os.close(file.fd)


def _full(total_bytes: int) -> Text:
    return _(
        "{limit} of captured records wait for the object store, the most that is kept for it: requests are answered "
        "and not captured until it takes them.",
        limit=size_text(total_bytes),
    )
