"""A file that a job left behind, opened as what anybody may have put there. Django-free.

Called by the worker when the job's processes have ended.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


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
