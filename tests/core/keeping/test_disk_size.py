"""The one definition of a disk's size, and that pages, the doctor and the floor go by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mlplatform.core.health.checks.disk import disks
from mlplatform.core.keeping.disk_room import disk_places, disk_room_forget
from mlplatform.core.keeping.disk_size import DiskSize, disk_size
from mlplatform.core.text import text as _


def test_what_the_system_keeps_for_itself_is_in_no_total(tmp_path: Path) -> None:
    told = os.statvfs(tmp_path)
    usable = told.f_blocks - (told.f_bfree - told.f_bavail)
    assert disk_size(tmp_path).total_bytes == usable * told.f_frsize
    assert disk_size(tmp_path).free_bytes > 0


def test_the_share_that_is_used_is_of_what_may_be_used() -> None:
    assert DiskSize(used_bytes=30, free_bytes=70).used_share == 0.3
    assert DiskSize(used_bytes=0, free_bytes=0).used_share == 0.0


def test_the_doctor_tells_the_same_total(tmp_path: Path) -> None:
    (disk,) = disks([(tmp_path, _("data directory"))])
    assert disk.total_bytes == disk_size(tmp_path).total_bytes


def test_the_floor_is_of_the_same_total(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR, settings.MLPLATFORM_DISK_FLOOR_BYTES = tmp_path, -1
    disk_room_forget()
    floor = disk_places()["data"].floor_bytes
    assert floor == min(1024**3, int(disk_size(tmp_path).total_bytes * 0.02))
    disk_room_forget()


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        disk_size(tmp_path / "nothing")
