"""`scripts/packages.sh` installs what the tests need and is missing, as root only, and never fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.live import ROOT

TOOLS = ("ls", "mktemp", "tail", "rm", "mkdir", "cat", "sed")


def run_with(
    folder: Path, *, user: int, present: tuple[str, ...], apt_ends_with: int = 0, has_shell: bool = True
) -> tuple[str, str]:
    """What the script said, and what it asked of apt-get, which has a browser without windows or not."""
    programs = folder / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    asked = folder / "asked"
    asked.touch()
    scripts = dict.fromkeys(present, "exit 0") | {
        "id": f"echo {user}",
        "apt-get": f'echo "$@" >>{asked}; exit {apt_ends_with}',
        "apt-cache": f"exit {0 if has_shell else 100}",
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
    assert "installing fonts-noto-cjk chromium-headless-shell for the tests" in said
    assert asked.splitlines()[0] == "update"
    assert asked.splitlines()[1].endswith("force-confold fonts-noto-cjk chromium-headless-shell")


def test_a_system_without_the_lighter_browser_gets_the_other(tmp_path: Path) -> None:
    said, asked = run_with(tmp_path, user=0, present=("initdb", "bwrap", "ip"), has_shell=False)
    assert "installing chromium fonts-noto-cjk for the tests" in said
    assert asked.splitlines()[1].endswith("force-confold chromium fonts-noto-cjk")


def test_the_lighter_browser_comes_beside_another(tmp_path: Path) -> None:
    _said, asked = run_with(tmp_path, user=0, present=("initdb", "bwrap", "ip", "chromium"))
    assert asked.splitlines()[1].endswith("force-confold chromium-headless-shell")


def test_a_system_that_has_only_the_other_is_left_as_it_is(tmp_path: Path) -> None:
    present = ("initdb", "bwrap", "ip", "chromium")
    assert run_with(tmp_path, user=0, present=present, has_shell=False) == ("", "update\n")


@pytest.mark.parametrize("user", [0, 1000])
def test_nothing_happens_where_everything_is_there(tmp_path: Path, user: int) -> None:
    present = ("initdb", "bwrap", "chromium-headless-shell", "ip")
    assert run_with(tmp_path, user=user, present=present) == ("", "")


def test_others_are_told_what_is_missing(tmp_path: Path) -> None:
    said, asked = run_with(tmp_path, user=1000, present=("initdb", "chromium", "ip"))
    assert (asked, "not on this machine: bubblewrap" in said) == ("", True)


def test_an_installation_that_fails_is_told_and_stops_nothing(tmp_path: Path) -> None:
    present = ("initdb", "chromium-headless-shell", "ip")
    said, _ = run_with(tmp_path, user=0, present=present, apt_ends_with=100)
    assert "could not be installed: bubblewrap" in said


def test_a_lighter_browser_that_cannot_be_installed_keeps_nothing_else_out(tmp_path: Path) -> None:
    said, asked = run_with(tmp_path, user=0, present=("initdb", "bwrap", "ip"), apt_ends_with=100)
    assert asked.splitlines()[1].endswith("force-confold fonts-noto-cjk chromium-headless-shell")
    assert asked.splitlines()[2].endswith("force-confold chromium fonts-noto-cjk")
    assert "could not be installed: fonts-noto-cjk chromium-headless-shell" in said
