"""What a failed write says about its disk: full, read-only, or something else. Django-free.

Used by whoever writes files: the object store, job folders, uploads. The words for people name the place by what it is
for, never by its path, and say what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlplatform.core.errors import StorageFull, StorageReadOnly, TransientError
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_WORDS: Final = ("No space left on device", "Disk quota exceeded")
_READ_ONLY_WORDS: Final = ("Read-only file system",)

STORE: Final = _("the object store")
DATA_DIR: Final = _("the data directory")
JOB_FOLDER: Final = _("the job's folder")
MODEL_FOLDER: Final = _("the folder of served models")
DATABASE: Final = _("the database")


def storage_fault(error: BaseException, place: Text = DATA_DIR) -> TransientError | None:
    """The error to tell a person; None where the fault is not that the disk of `place` is full or read-only.

    Args:
        error: An OSError, or an error of a library that only repeats the system's words.
    """
    if is_disk_full(error):
        return storage_full(place)
    if is_read_only(error):
        return storage_read_only(place)
    return None


def storage_full(place: Text) -> StorageFull:
    return StorageFull(
        _(
            "The disk of {place} is full. First enlarge that disk, or free a few MiB on it beside the platform; then "
            "delete datasets, models and old jobs. Nothing has to be restarted.",
            place=place,
        )
    )


def storage_read_only(place: Text) -> StorageReadOnly:
    return StorageReadOnly(
        _(
            "The disk of {place} is read-only. Mount it for writing (a disk with errors is often made read-only "
            "by the system: look at its log) and try again; nothing has to be restarted",
            place=place,
        )
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed for want of space or quota."""
    number = error.errno if isinstance(error, OSError) else None
    return number in _FULL or (number is None and says_disk_full(str(error)))


def is_read_only(error: BaseException) -> bool:
    number = error.errno if isinstance(error, OSError) else None
    return number == errno.EROFS or (
        number is None and any(words in str(error) for words in _READ_ONLY_WORDS)
    )


def says_disk_full(text: str) -> bool:
    """Whether a text, such as the last line of a process, has the system's words for a full disk."""
    return any(words in text for words in _FULL_WORDS)


@contextmanager
def storage_told(place: Text) -> Iterator[None]:
    """Inside, a full or read-only disk raises StorageFull or StorageReadOnly that name `place`."""
    try:
        yield
    except OSError as error:
        fault = storage_fault(error, place)
        if fault is None:
            raise
        raise fault from error
