"""Databases as `migrate` leaves them, made once for a whole test run: to make one takes 4 s of a processor.

The first test process that wants one migrates it; the others wait for that and copy. How the tables come to be in a
new installation is proved by those tests that start from an empty folder (`from_nothing`: `tests/setup/test_life.py`).
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.environment import clean_environment

FOLDER: Final = "TEST_MIGRATED"
TEMPLATE: Final = "migrated"
"""Name of the one on Postgres."""
_ROOT: Final = Path(__file__).resolve().parent.parent


def migrated_ensure() -> None:
    """Where this run keeps it; removed with the process that was first here."""
    if not os.environ.get(FOLDER):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="mlplatform-migrated-")
        atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)


def migrated_file(target: Path) -> None:
    """Makes a SQLite file of the name, in a folder that is made too."""
    folder = Path(os.environ[FOLDER])
    made = folder / "data" / "db.sqlite3"
    _once(folder / "sqlite", lambda: _migrate({"MLPLATFORM_DATA_DIR": str(made.parent)}))
    assert not made.with_name(f"{made.name}-wal").exists(), "all of it is in the one file"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(made, target)
    target.chmod(0o600)


def migrated_template(database_new: Callable[[str], str]) -> str:
    """The name of a Postgres database to copy.

    Args:
        database_new: Makes an empty database of the name, in the place of one that an attempt before this left; its
            address.
    """
    folder = Path(os.environ[FOLDER])

    def make() -> None:
        _migrate({"MLPLATFORM_DATA_DIR": str(folder / "data"), "DATABASE_URL": database_new(TEMPLATE)})

    _once(folder / "postgres", make)
    return TEMPLATE


def _once(mark: Path, make: Callable[[], None]) -> None:
    """Has it made unless another process of this run did, and waits for one that does."""
    with mark.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            make()
            mark.touch()


def _migrate(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--no-input", "--skip-checks"],
        cwd=_ROOT,
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"manage.py migrate:\n{done.stdout}{done.stderr}"
