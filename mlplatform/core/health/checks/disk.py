"""Room on the disks that the platform writes to: one finding per file system, with what lies on it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from mlplatform.core.amounts import size_text
from mlplatform.core.env import data_dir, runtime_dir
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.health.probes import store_folder
from mlplatform.core.keeping.disk_room import disk_floor_bytes, disk_room_remedy
from mlplatform.core.keeping.disk_size import disk_size
from mlplatform.core.text import Text, text_join
from mlplatform.core.text import text as _
from mlplatform.core.uploads.services import uploads_dir

_NEAR: Final = 3
"""So many times the floor is a warning."""
_FILES_FEW: Final = 0.05
_FILES_NONE: Final = 0.005


@dataclass
class Disk:
    """A file system, and what of ours lies on it."""

    path: Path
    free_bytes: int
    total_bytes: int
    free_files: int
    total_files: int
    read_only: bool
    uses: list[Text] = field(default_factory=list)

    @property
    def free_files_share(self) -> float:
        """1 where the file system has no limit of files."""
        return self.free_files / self.total_files if self.total_files else 1.0


@doctor_check("disk", title=_("Disk"))
def disk_check() -> Iterator[Finding]:
    places = _places()
    missing = [place for place in places if not place[0].is_dir()]
    yield from _missing(missing)
    for disk in disks([place for place in places if place not in missing]):
        yield from disk_findings(disk, floor_bytes=disk_floor_bytes(total_bytes=disk.total_bytes))


def disks(places: Iterable[tuple[Path, Text]]) -> list[Disk]:
    """The file systems of the folders, each once."""
    found: dict[int, Disk] = {}
    for path, use in places:
        device = path.stat().st_dev
        if device not in found:
            found[device] = _disk(path)
        found[device].uses.append(use)
    return list(found.values())


def disk_findings(disk: Disk, *, floor_bytes: int) -> Iterator[Finding]:
    """What there is to say of one file system: its room, or everything that is wrong with it."""
    wrong = list(_complaints(disk, floor_bytes))
    if not wrong:
        yield Finding("disk", Level.OK, _("{room}; {files}", room=_room(disk), files=_files(disk)))
    yield from wrong


def _complaints(disk: Disk, floor_bytes: int) -> Iterator[Finding]:
    if disk.read_only:
        yield Finding(
            "disk",
            Level.FAILED,
            _("The disk at {path} is read-only ({uses})", path=str(disk.path), uses=_uses(disk)),
            _("Look at `dmesg` for disk errors, then `mount -o remount,rw {path}`.", path=str(disk.path)),
        )
    elif not os.access(disk.path, os.W_OK | os.X_OK):
        yield Finding(
            "disk",
            Level.FAILED,
            _("This user may not write to {path} ({uses})", path=str(disk.path), uses=_uses(disk)),
            _(
                "Give the folder to the user that the platform runs as: `chown -R USER {path}`.",
                path=str(disk.path),
            ),
        )
    if disk.free_bytes < _NEAR * floor_bytes:
        below = disk.free_bytes < floor_bytes
        yield Finding(
            "disk",
            Level.FAILED if below else Level.WARNING,
            _(
                "{room}; below {floor} nothing new is taken in",
                room=_room(disk),
                floor=size_text(floor_bytes),
            ),
            _(
                "{remedy} OBJECT_STORE_URL moves the objects elsewhere. The floor is MLPLATFORM_DISK_FLOOR_BYTES. "
                "Nothing has to be restarted.",
                remedy=disk_room_remedy(free_bytes=disk.free_bytes),
            ),
        )
    if disk.free_files_share < _FILES_FEW:
        yield Finding(
            "disk",
            Level.FAILED if disk.free_files_share < _FILES_NONE else Level.WARNING,
            _("{files} ({uses})", files=_files(disk), uses=_uses(disk)),
            _(
                "Delete small files on that disk (`df -i`), or move the data directory to a disk with more of them."
            ),
        )


def _missing(places: list[tuple[Path, Text]]) -> Iterator[Finding]:
    """One finding for a folder and all that should lie in it."""
    paths = {path for path, _use in places}
    for outermost in sorted(path for path in paths if paths.isdisjoint(path.parents)):
        uses = [use for path, use in places if path.is_relative_to(outermost)]
        yield Finding(
            "disk",
            Level.FAILED,
            _("There is no folder {path} ({uses})", path=str(outermost), uses=text_join(", ", uses)),
            _(
                "The next start of the platform makes it. If it was on another disk, mount that disk; see "
                "MLPLATFORM_DATA_DIR."
            ),
        )


def _places() -> list[tuple[Path, Text]]:
    """Every folder that the platform writes to, with its use in words.

    Folders of jobs and of resumable uploads are made by the first of them: a machine without has none.
    """
    folder = data_dir()
    jobs = folder / "work"
    places = [
        (folder, _("data directory")),
        *([(jobs, _("folders of running jobs"))] if jobs.is_dir() or not folder.is_dir() else []),
        (Path(settings.FILE_UPLOAD_TEMP_DIR), _("uploads under way")),
        *([(uploads_dir(), _("resumable uploads"))] if uploads_dir().is_dir() else []),
        (runtime_dir(), _("sockets")),
    ]
    objects = store_folder()
    if objects is not None:
        places.append((objects, _("object store")))
    if connection.vendor == "sqlite":
        places.append((Path(str(connection.settings_dict["NAME"])).parent, _("database")))
    return places


def _disk(path: Path) -> Disk:
    told, size = os.statvfs(path), disk_size(path)
    return Disk(
        path=path,
        free_bytes=size.free_bytes,
        total_bytes=size.total_bytes,
        free_files=told.f_favail,
        total_files=told.f_files,
        read_only=bool(told.f_flag & os.ST_RDONLY),
    )


def _room(disk: Disk) -> Text:
    return _(
        "{free} of {total} free at {path} ({uses})",
        free=size_text(disk.free_bytes),
        total=size_text(disk.total_bytes),
        path=str(disk.path),
        uses=_uses(disk),
    )


def _files(disk: Disk) -> Text:
    if not disk.total_files:
        return _("files without limit")
    return _("room for {n} more files of {total}", n=f"{disk.free_files:,}", total=f"{disk.total_files:,}")


def _uses(disk: Disk) -> str:
    return text_join(", ", disk.uses)
