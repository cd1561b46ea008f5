"""Models of elastic variants that are asleep: what is laid out of them stays, so that they are back sooner.

One folder per variant, beside the folders of replicas; it is moved, never copied, so that waking costs nothing. Django-
free; called by the host (`endpoints.served`). What no variant needs any more is removed by the host when it begins and
by the sweep of what is left over (`endpoints.keeping`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from endpoints.server_spec import TEMPORARY_FOLDER

_PREFIX: Final = "asleep-"


def asleep_folder(models_dir: Path, *, variant_id: int) -> Path:
    return models_dir / f"{_PREFIX}{variant_id}"


def asleep_variant(folder: Path) -> int | None:
    """Whose model lies in it; None for the folder of a replica."""
    number = folder.name.removeprefix(_PREFIX)
    return int(number) if folder.name.startswith(_PREFIX) and number.isdecimal() else None


def put_to_sleep(folder: Path, *, variant_id: int) -> None:
    """Keeps the folder of a replica whose process has ended, without what that left in its `/tmp`; where one is kept
    already, this one goes.
    """
    shutil.rmtree(folder / TEMPORARY_FOLDER, ignore_errors=True)
    try:
        folder.rename(asleep_folder(folder.parent, variant_id=variant_id))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def wake_up(folder: Path, *, variant_id: int) -> None:
    """Makes what is kept of the variant the folder of a new replica; nothing where nothing is kept."""
    kept = asleep_folder(folder.parent, variant_id=variant_id)
    if kept.is_dir() and not folder.exists():
        kept.rename(folder)
