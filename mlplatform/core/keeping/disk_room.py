"""The disk floor: below so much free space the platform takes in nothing new, so that what runs can go on.

Uploads, imports and splits are refused, and no worker begins a job; what is running goes on, and its log, metrics and
outcome are written. Called by services, by the limit of request bodies and by workers; the doctor shows the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from mlplatform.core.amounts import size_text
from mlplatform.core.errors import InsufficientStorage
from mlplatform.core.keeping.disk_size import disk_size
from mlplatform.core.storage.faults import DATA_DIR, JOB_FOLDER, STORE
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

FLOOR_BYTES: Final = 1024**3
FLOOR_SHARE: Final = 0.02
FULL_BYTES: Final = 1024**2
"""With less the database can hardly write, so that nothing can be deleted and nobody can sign in."""
KEPT_S: Final = 1.0

Place = tuple[Text, Path]
_kept: dict[Path, tuple[float, int, int]] = {}


@dataclass(frozen=True)
class DiskRoom:
    """The disk of one place of ours."""

    place: Text
    free_bytes: int
    floor_bytes: int

    @property
    def words(self) -> Text:
        return _(
            "the disk of {place} has {free} free, and {floor} must stay free",
            place=self.place,
            free=size_text(self.free_bytes),
            floor=size_text(self.floor_bytes),
        )


def disk_floor_bytes(*, total_bytes: int) -> int:
    """The floor of a disk: the setting, else 1 GiB, or 2 % of a disk smaller than 50 GiB."""
    given = int(settings.MLPLATFORM_DISK_FLOOR_BYTES)
    return given if given >= 0 else min(FLOOR_BYTES, int(total_bytes * FLOOR_SHARE))


def disk_room_check(*, n_bytes: int = 0) -> None:
    """Raises InsufficientStorage where so many bytes more would take a disk that they come to below its floor."""
    low = _lowest([*_store(), (DATA_DIR, Path(settings.DATA_DIR) / "tmp")], n_bytes)
    if low is not None:
        raise InsufficientStorage(
            _(
                "There is too little room to take this in: {words}. {remedy}",
                words=low.words,
                remedy=disk_room_remedy(free_bytes=low.free_bytes),
            )
        )


def disk_room_remedy(*, free_bytes: int) -> Text:
    """How room is made on a disk: on one that is full, nothing of ours can be deleted before."""
    if free_bytes < FULL_BYTES:
        return _(
            "First enlarge that disk, or free a few MiB on it beside the platform: without them nothing can be deleted "
            "here and nobody can sign in. Then delete datasets, models and old jobs."
        )
    return _("Delete datasets, models and old jobs, or enlarge the disk.")


def disk_room_for_jobs() -> DiskRoom | None:
    """What keeps this machine from beginning a job; None when there is room."""
    folder = Path(settings.DATA_DIR)
    return _lowest([*_store(), (DATA_DIR, folder), (JOB_FOLDER, folder / "work")], 0)


def disk_places() -> dict[str, DiskRoom]:
    """The disks of this machine's places, low or not, by a short name."""
    folder = Path(settings.DATA_DIR)
    places = [*_store(), (DATA_DIR, folder)]
    found = {}
    for place, path in places:
        free, total = _usage(path)
        found["store" if place is STORE else "data"] = DiskRoom(
            place, free, disk_floor_bytes(total_bytes=total)
        )
    return found


def disk_room_forget() -> None:
    """Looks anew at the next question; for tests that fill a disk."""
    _kept.clear()


def _store() -> Sequence[Place]:
    folder = object_store().folder
    return [] if folder is None else [(STORE, folder)]


def _lowest(places: Sequence[Place], n_bytes: int) -> DiskRoom | None:
    """The first place that is, or would be, below its floor."""
    for place, path in places:
        free, total = _usage(path)
        floor = disk_floor_bytes(total_bytes=total)
        if floor and free - n_bytes < floor:
            return DiskRoom(place, free, floor)
    return None


def _usage(path: Path) -> tuple[int, int]:
    """Free and all bytes, asked of the system at most once a second."""
    now = time.monotonic()
    kept = _kept.get(path)
    if kept is None or now - kept[0] > KEPT_S:
        there = next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))
        size = disk_size(there)
        kept = _kept[path] = (now, size.free_bytes, size.total_bytes)
    return kept[1], kept[2]
