"""Takes closed spool files of this machine to the object store: a thread beside the gateway, which never waits for it.

It looks at the folder and not at what its own process has written, so what a killed gateway left goes with the rest as
soon as there is a gateway again. A file is in use while somebody has it locked. What cannot be stored now stays and is
tried again with growing pauses. The store and the database are given to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from endpoints.capture.recorder import Recorder, unwritten
from endpoints.capture.rule import CapturePlace
from endpoints.capture.spool import Spool
from endpoints.capture.spool_files import (
    BEGUN,
    PLACE,
    RECORDS,
    SpoolName,
    captured_uri,
    place_read,
    spool_name,
)
from mlplatform.core.amounts import size_text
from mlplatform.core.errors import PlatformError, StorageFull
from mlplatform.core.keeping.disk_size import disk_size
from mlplatform.core.storage.faults import DATA_DIR
from mlplatform.core.text import Text, text_join
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
AGAIN_MAX_S: Final = 30.0
LAST_S: Final = 5.0
"""So long the end of the process waits for what can still be stored."""
_PIECE_BYTES: Final = 64 * 1024
_STRAY_S: Final = 600.0
_AWAY_S: Final = 1.0
"""What fails only after so long is the store or the database as a whole; others are not tried behind it."""


@dataclass(frozen=True)
class CapturedPart:
    """A closed file that is to be stored. `hour` of `name` is UTC."""

    path: Path
    place: CapturePlace
    name: SpoolName
    uri: str
    n_records: int
    size_bytes: int


Keep = Callable[[CapturedPart], None]
"""Stores the file at its address and writes its row; the same file again makes no second one. May raise anything."""
Report = Callable[[str | None, bool, Mapping[int, int]], None]
"""Gets why records are not stored, whether none is captured meanwhile, and how many of each endpoint were lost."""


class Uploader(threading.Thread):
    """Stores what is closed, every `every_s`, until `end`.

    Args:
        floor_bytes: What must stay free of a disk of so many bytes; below it nothing more is captured.
    """

    def __init__(
        self,
        spool: Spool,
        recorder: Recorder,
        *,
        keep: Keep,
        report: Report,
        floor_bytes: Callable[[int], int],
        every_s: float = 2.0,
    ) -> None:
        super().__init__(name="capture", daemon=True)
        self._spool = spool
        self._recorder = recorder
        self._keep = keep
        self._report = report
        self._floor_bytes = floor_bytes
        self._every_s = every_s
        self._ended = threading.Event()
        self._pause_s = every_s
        self._again_at = 0.0
        self._problem: Text | None = None
        self._low: Text | None = None
        self._measured_at = 0.0
        self._told: tuple[str | None, bool] | None = None
        self._n_told: dict[int, int] = {}

    def run(self) -> None:
        self.turn()
        while not self._ended.wait(self._every_s):
            self.turn()
        self.turn()

    def end(self) -> None:
        """Stores what is left, if that is possible now; otherwise the next gateway does."""
        self._ended.set()
        if self.is_alive():
            self.join(LAST_S)

    def turn(self) -> None:
        """One look at the folder. Never raises."""
        try:
            self._measure()
            if time.monotonic() >= self._again_at or self._ended.is_set():
                self._store_all()
            self._tell()
        except Exception:
            logger.exception("a turn of the upload of captured records broke")

    def _measure(self) -> None:
        """Tells the spool how much there is, and whether its disk has too little room. Makes its folder."""
        n_bytes = 0
        for path in self._files(RECORDS):
            with contextlib.suppress(FileNotFoundError):
                n_bytes += path.stat().st_size
        self._low = self._why_not()
        self._spool.measured(n_bytes=n_bytes, low=self._low)
        self._measured_at = time.monotonic()

    def _why_not(self) -> Text | None:
        """Why the spool's disk can take nothing more; None where it can."""
        try:
            self._spool.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            disk = disk_size(self._spool.folder)
        except OSError as error:
            return unwritten(error)
        floor = self._floor_bytes(disk.total_bytes)
        return _low(disk.free_bytes, floor) if disk.free_bytes < floor else None

    def _store_all(self) -> None:
        failure = self._store_each()
        self._clear_strays()
        if failure is not None:
            problem = _words(failure)
            if self._problem is None:
                logger.warning("captured records wait: %s", problem)
            self._problem = problem
            self._pause_s = min(2 * self._pause_s, AGAIN_MAX_S)
            self._again_at = time.monotonic() + self._pause_s
            return
        if self._problem is not None:
            logger.info("captured records are stored again")
        self._problem, self._pause_s = None, self._every_s

    def _store_each(self) -> Exception | None:
        """The first failure. A destination that is refused, such as a folder below a file, keeps no other waiting."""
        failure: Exception | None = None
        refused: set[str] = set()
        for path in self._files(RECORDS):
            began_at = time.monotonic()
            if began_at - self._measured_at > self._every_s:  # room that a backlog leaves is used at once
                self._measure()
            try:
                self._store(path, refused)
            except Exception as error:
                failure = failure or error
                if time.monotonic() - began_at > _AWAY_S:
                    break
        return failure

    def _store(self, path: Path, refused: set[str]) -> None:
        """Nothing for a destination that is among `refused`, to which one is added that fails."""
        name = spool_name(path)
        if name is None:
            return
        with _unused(path) as is_unused:
            if not is_unused:
                return
            n_records, size_bytes = _whole_lines(path)
            beside = path.with_suffix(PLACE)
            place = _place(beside)
            if size_bytes and place is not None:
                if place.destination in refused:
                    return
                part = CapturedPart(path, place, name, captured_uri(place, name), n_records, size_bytes)
                try:
                    self._keep(part)
                except Exception:
                    refused.add(place.destination)
                    raise
            path.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)

    def _clear_strays(self) -> None:
        """What processes that ended between two steps left: names that were never given, places without records."""
        oldest = time.time() - _STRAY_S
        for path in (*self._files(BEGUN), *self._files(PLACE)):
            if path.suffix == PLACE and path.with_suffix(RECORDS).exists():
                continue
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _tell(self) -> None:
        """Tells of a change, and of a problem that lasts, whose endpoints may have changed."""
        refused = self._recorder.problem or self._low
        said = list(dict.fromkeys(text for text in (refused, self._problem) if text is not None))
        now = text_join(" ", said) if said else None
        dropped = self._recorder.n_dropped
        new = {
            key: n - self._n_told.get(key, 0) for key, n in dropped.items() if n > self._n_told.get(key, 0)
        }
        state = (now, refused is not None)
        if state == self._told and not new and now is None:
            return
        try:
            self._report(now, refused is not None, new)
        except Exception as error:
            logger.debug("the state of data capture could not be written: %s", error)
            return
        self._told, self._n_told = state, dropped

    def _files(self, suffix: str) -> list[Path]:
        return sorted(self._spool.folder.glob(f"*{suffix}"))


@contextmanager
def _unused(path: Path) -> Iterator[bool]:
    """Whether nobody writes to the file or takes it away, which then holds until the end of the `with`."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _locked(fd) and os.fstat(fd).st_nlink > 0
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _whole_lines(path: Path) -> tuple[int, int]:
    """How many records and bytes the file has; half a line at its end, of a write on a full disk, is cut off."""
    n_records, size_bytes, n_read = 0, 0, 0
    with path.open("r+b") as file:
        while piece := file.read(_PIECE_BYTES):
            last = piece.rfind(b"\n")
            if last >= 0:
                n_records += piece.count(b"\n")
                size_bytes = n_read + last + 1
            n_read += len(piece)
        if n_read != size_bytes:
            file.truncate(size_bytes)
    return n_records, size_bytes


def _place(path: Path) -> CapturePlace | None:
    """Whose records they are; None where nobody can tell any more, as after a power cut."""
    try:
        return place_read(path)
    except (FileNotFoundError, ValueError, TypeError) as error:
        logger.warning("%s: records without their place are given up: %s", path.name, error)
        return None


def _low(free_bytes: int, floor_bytes: int) -> Text:
    return _(
        "Requests are answered and not captured: the disk of {place} has {free} free, and {floor} must stay free",
        place=DATA_DIR,
        free=size_text(free_bytes),
        floor=size_text(floor_bytes),
    )


def _words(error: Exception) -> Text:
    said = error.message if isinstance(error, PlatformError) else str(error)[:300]
    if isinstance(error, StorageFull):
        return _("Captured records wait on the gateway's disk. {reason}", reason=said)
    return _(
        "Captured records wait on the gateway's disk and are stored as soon as that is possible: {reason}",
        reason=said,
    )
