"""A file that a job left behind, opened, or replaced, as what anybody may have put there. Django-free.

Called by the worker when the job's processes have ended.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mlplatform.core.storage.trees import tree_remove


def left_file_head(folder: Path, name: str, n_bytes: int) -> bytes:
    """The first bytes of a regular file; a link, pipe or device in its place, or in that of its folder, is not
    opened. Raises OSError.
    """
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{name} is not a regular file")
        return file.read(n_bytes)


def left_file_replace(path: Path, text: str) -> None:
    """Writes a file into a folder in which somebody else's code has run: what is in its place goes, and a link is not
    followed. The folder itself must be ours. Raises OSError.
    """
    if path.is_dir() and not path.is_symlink():
        tree_remove(path)
    path.unlink(missing_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
