"""Commands that need a platform say so where none was started, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlplatform.core.env import PROJECT_ROOT

COMMANDS = (("access_key", "create", "--user", "admin", "--project", "default"), ("sign_in", "list"))


def refused(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "manage.py"), *arguments],
        env=env | {"MLPLATFORM_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "mlplatform.settings"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("arguments", COMMANDS)
def test_without_a_platform_a_command_says_so_in_a_line_and_leaves_nothing(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = tmp_path / "nowhere"
    said = f"no platform has been started with data directory {folder}; set MLPLATFORM_DATA_DIR\n"
    assert refused(folder, *arguments) == f"mlplatform: {said}"
    assert not folder.exists()


def test_a_database_without_tables_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").touch()
    assert refused(tmp_path, "sign_in", "list").splitlines() == [
        f"CommandError: The database is empty: no platform has been started with data directory {tmp_path}; "
        "set MLPLATFORM_DATA_DIR"
    ]
