"""Whether `manage.py up` runs on this data directory: it holds a lock there for as long as it lives. Django-free."""

from __future__ import annotations

import fcntl

from mlplatform.core.env import data_dir
from mlplatform.core.startup.data_folder import LOCK


def runs_under_up() -> bool:
    """True while a supervisor starts again what ends; asked without taking the lock away from one that starts."""
    try:
        with (data_dir() / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
