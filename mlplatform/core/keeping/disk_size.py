"""How large a disk is for those who may use it: one definition for pages, doctor and disk floor. Without Django."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiskSize:
    """What a quota or the system keeps for itself is neither used nor free, and so in no total, as `df` counts."""

    used_bytes: int
    free_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.used_bytes + self.free_bytes

    @property
    def used_share(self) -> float:
        return self.used_bytes / self.total_bytes if self.total_bytes else 0.0


def disk_size(path: Path) -> DiskSize:
    """Of the file system that `path` lies on.

    Raises:
        OSError: nothing is there, or the disk does not answer.
    """
    told = os.statvfs(path)
    return DiskSize(
        used_bytes=(told.f_blocks - told.f_bfree) * told.f_frsize,
        free_bytes=told.f_bavail * told.f_frsize,
    )
