"""Removes folders that anybody may have filled: whatever permissions are in them, and however deep. Django-free.

`shutil.rmtree` goes down by calling itself, so that a thousand folders in one another are too many for it; what comes
then is the system's own `rm`, which has no such limit. Neither follows a link.
"""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any


def tree_remove(folder: Path) -> None:
    """Removes the folder and all that is in it; nothing happens where there is none. Raises OSError."""
    try:
        shutil.rmtree(folder, onerror=_open_up)
    except RecursionError:
        _remove_deep(folder)


def _open_up(function: Any, path: str, error: Any) -> None:
    """A folder that was made inaccessible is opened up and its removal tried once more."""
    if isinstance(error[1], FileNotFoundError):
        return
    place = Path(path)
    place.parent.chmod(stat.S_IRWXU)
    if place.is_dir() and not place.is_symlink():
        place.chmod(stat.S_IRWXU)
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _remove_deep(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "u+rwX", "--", folder], capture_output=True)
    done = subprocess.run(["rm", "-rf", "--", folder], capture_output=True)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise OSError(f"{folder} cannot be removed: {said}")
