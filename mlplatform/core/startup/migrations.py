"""Which changes of our tables this version has, from the names of their files. Django-free."""

from __future__ import annotations

import re
from typing import Final

from mlplatform.core.env import PROJECT_ROOT

_ROOMS: Final = {
    "core": PROJECT_ROOT / "mlplatform" / "core",
    "jobs": PROJECT_ROOT / "jobs",
    "endpoints": PROJECT_ROOT / "endpoints",
    "monitoring": PROJECT_ROOT / "monitoring",
}
_MIGRATION: Final = re.compile(r"\d{4}_\w+\.py")


def migrations_known() -> set[tuple[str, str]]:
    """All changes of our tables that this version has."""
    return {
        (room, path.stem)
        for room, folder in _ROOMS.items()
        for path in (folder / "migrations").glob("*.py")
        if _MIGRATION.fullmatch(path.name)
    }
