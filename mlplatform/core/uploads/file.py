"""One upload on this machine's disk: what was announced of it, and how much has come. Django-free.

    <folder>/<uid>/upload.json   what was announced: written once, before the first byte
                   data          what has come: its size is the offset, so that nothing has to be kept in step with it

A process that is killed loses nothing that it has written. Who adds holds the lock of the file, which ends with the
process. Called by `mlplatform.core.uploads.services` only.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mlplatform.core.errors import Conflict, Locked, NotFound, TooLarge
from mlplatform.core.storage.faults import DATA_DIR, storage_told
from mlplatform.core.text import text as _

_ANNOUNCED: Final = "upload.json"
_DATA: Final = "data"
NO_UPLOAD: Final = _("There is no such upload of yours on this machine; it may have expired")


@dataclass(frozen=True)
class Announced:
    """What was said of an upload before its first byte.

    Args:
        project, user: Whose it is, as the ids of their rows.
        length: Of the whole, in bytes.
        created_at: Seconds since the epoch.
    """

    project: int
    user: int
    length: int
    filename: str
    created_at: float


@dataclass(frozen=True)
class UploadFile:
    """An upload that is there."""

    uid: str
    folder: Path
    announced: Announced

    @property
    def path(self) -> Path:
        return self.folder / _DATA

    @property
    def offset(self) -> int:
        """How many bytes have come. Raises NotFound: it was removed meanwhile."""
        return self._status().st_size

    @property
    def changed_at(self) -> float:
        """When the last byte came, or it was announced. Raises NotFound."""
        return self._status().st_mtime

    @property
    def is_whole(self) -> bool:
        return self.offset == self.announced.length

    def append(self, *, offset: int) -> Append:
        """The right to add from `offset` on. Raises Locked, Conflict (another offset), NotFound."""
        file = _locked(self.path)
        there = os.fstat(file).st_size
        if there != offset:
            os.close(file)
            raise Conflict(
                _(
                    "Upload-Offset: {given} is not where this upload goes on: {there} bytes have come; ask with HEAD "
                    "and send from there",
                    given=f"{offset:,}",
                    there=f"{there:,}",
                )
            )
        return Append(file, begun=offset, length=self.announced.length)

    def remove(self) -> None:
        """Removes it with what has come. Raises Locked: bytes are coming in; NotFound."""
        file = _locked(self.path)
        try:
            # First what makes it an upload; a folder without it is swept away.
            (self.folder / _ANNOUNCED).unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            os.close(file)

    def _status(self) -> os.stat_result:
        try:
            return self.path.stat()
        except FileNotFoundError:
            raise NotFound(NO_UPLOAD) from None


class Append:
    """Adds to one upload until `close`; nobody else can meanwhile."""

    def __init__(self, file: int, *, begun: int, length: int) -> None:
        self._file = file
        self._begun = self._offset = begun
        self._length = length

    def write(self, piece: bytes) -> None:
        """Adds a piece. Raises TooLarge: more than was announced, and nothing of this request is kept; StorageFull."""
        if self._offset + len(piece) > self._length:
            os.ftruncate(self._file, self._begun)
            raise TooLarge(_("The upload was announced with {n} bytes, and more came", n=f"{self._length:,}"))
        with storage_told(DATA_DIR):
            left = memoryview(piece)
            while left:
                n_written = os.write(self._file, left)
                self._offset += n_written
                left = left[n_written:]

    def close(self) -> int:
        """Lets others add; what has come is on the disk then, and not only in the system's memory. Its size."""
        try:
            with storage_told(DATA_DIR):
                os.fdatasync(self._file)
        finally:
            os.close(self._file)
        return self._offset


@contextmanager
def uploads_held(folder: Path) -> Iterator[None]:
    """Nobody else adds an upload to `folder` meanwhile: what was counted there still holds. Raises StorageFull."""
    with storage_told(DATA_DIR):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def upload_new(folder: Path, uid: str, announced: Announced) -> UploadFile:
    """Makes the upload `uid` in `folder`, without a byte so far. Raises StorageFull, StorageReadOnly."""
    upload = UploadFile(uid, folder / uid, announced)
    with storage_told(DATA_DIR):
        upload.folder.mkdir(mode=0o700, parents=True)
        upload.path.touch(mode=0o600)
        written = upload.folder / f"{_ANNOUNCED}.new"
        written.write_text(json.dumps(asdict(announced)), encoding="utf-8")
        written.rename(upload.folder / _ANNOUNCED)
    return upload


def upload_find(folder: Path, uid: str) -> UploadFile | None:
    """The upload `uid` of `folder`; None where there is none."""
    if not uid.isalnum():  # it becomes part of a path
        return None
    with suppress(OSError, ValueError, TypeError):
        announced = Announced(**json.loads((folder / uid / _ANNOUNCED).read_text(encoding="utf-8")))
        return UploadFile(uid, folder / uid, announced)
    return None


def uploads_in(folder: Path) -> Iterator[UploadFile]:
    """Every upload of `folder`, the oldest first."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [upload for name in names if (upload := upload_find(folder, name))]
    yield from sorted(found, key=lambda upload: (upload.announced.created_at, upload.uid))


def halves_remove(folder: Path, *, older_than_s: float) -> int:
    """Removes folders that are no upload (any more): whoever made or removed them was killed. How many."""
    paths = list(folder.iterdir()) if folder.is_dir() else []
    before = time.time() - older_than_s
    n_removed = 0
    for path in paths:
        with suppress(FileNotFoundError):
            if not (path / _ANNOUNCED).exists() and path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)
                n_removed += 1
    return n_removed


def _locked(path: Path) -> int:
    """The file, open for adding, with its lock. Raises Locked, NotFound."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(NO_UPLOAD) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink == 0:  # removed between the two
            raise NotFound(NO_UPLOAD)
    except BlockingIOError:
        os.close(file)
        raise Locked(
            _(
                "Bytes of this upload are coming in by another request, of another tab or client perhaps; "
                "try again in a moment, from the offset that HEAD then says"
            )
        ) from None
    except BaseException:
        os.close(file)
        raise
    return file
