"""`scripts/packages.sh` installs what the tests need and is missing, as root only, and never fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.live import ROOT

TOOLS = ("ls", "mktemp", "tail", "rm", "mkdir", "cat")


def run_with(folder: Path, *, user: int, present: tuple[str, ...], apt_ends_with: int = 0) -> tuple[str, str]:
    """What the script said, and the packages it asked for."""
    programs = folder / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    asked = folder / "asked"
    asked.touch()
    scripts = dict.fromkeys(present, "exit 0") | {
        "id": f"echo {user}",
        "apt-get": f'echo "$@" >>{asked}; exit {apt_ends_with}',
    }
    for name, body in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "packages.sh"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, asked.read_text()


def test_root_gets_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    said, asked = run_with(tmp_path, user=0, present=("initdb", "bwrap", "ip"))
    assert "installing chromium fonts-noto-cjk for the tests" in said
    assert asked.splitlines()[0] == "update"
    assert asked.splitlines()[1].endswith("chromium fonts-noto-cjk")


def test_nothing_happens_where_everything_is_there(tmp_path: Path) -> None:
    assert run_with(tmp_path, user=0, present=("initdb", "bwrap", "chromium", "ip")) == ("", "")


def test_others_are_told_what_is_missing(tmp_path: Path) -> None:
    said, asked = run_with(tmp_path, user=1000, present=("initdb", "chromium", "ip"))
    assert (asked, "not on this machine: bubblewrap" in said) == ("", True)


def test_an_installation_that_fails_is_told_and_stops_nothing(tmp_path: Path) -> None:
    said, _ = run_with(tmp_path, user=0, present=("initdb", "chromium", "ip"), apt_ends_with=100)
    assert "could not be installed: bubblewrap" in said
