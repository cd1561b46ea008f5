"""The set-up before a start, with the real uv and a small set of requirements in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import ROOT

BASE_PACKAGE, TEST_PACKAGE = "sqlparse", "iniconfig"
WITHOUT_INSTALLERS = """
import importlib.util, runpy, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {"ensurepip", "pip"} else found(name)
sys.argv = ["install.py", "run"]
runpy.run_path("scripts/install.py", run_name="__main__")
"""


class Project:
    """A folder with our set-up scripts and two packages as requirements."""

    def __init__(self, root: Path, uv_folder: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.uv_folder = uv_folder
        shutil.copytree(ROOT / "scripts", root / "scripts")
        (root / "requirements").mkdir()
        self.require("base", pinned("base", BASE_PACKAGE))
        self.require("frameworks", "")
        self.require("test", pinned("test", TEST_PACKAGE))
        self.require("redis", "")
        shutil.copy(ROOT / "requirements" / "uv.txt", root / "requirements")

    def require(self, name: str, text: str) -> None:
        (self.root / "requirements" / f"{name}.txt").write_text(text)

    def install(self, profile: str = "run") -> str:
        done = self.run("scripts/install.sh", profile)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.uv_folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHON": sys.executable, **env}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=120
        )

    def packages(self) -> set[str]:
        return {path.name.split("-")[0] for path in self.venv.glob("lib/python*/site-packages/*.dist-info")}


@pytest.fixture(scope="module")
def uv_folder() -> Path:
    uv = subprocess.run(
        [sys.executable, "-I", "scripts/install.py", "uv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(uv.stdout.strip()).parent


@pytest.fixture
def project(tmp_path: Path, uv_folder: Path) -> Iterator[Project]:
    yield Project(tmp_path, uv_folder)


def pinned(file: str, package: str) -> str:
    """The package's lines of the real requirement file, with their hashes."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text()
    match = re.search(rf"^{package}==.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert match, f"{package} is not in {file}.txt"
    return match.group()


def test_the_first_run_installs_with_bytecode_and_the_second_finds_nothing_to_do(project: Project) -> None:
    said = project.install()
    assert "installed in" in said
    assert f"{BASE_PACKAGE}==" not in said  # a log is spared the list of a hundred packages
    assert project.packages() == {BASE_PACKAGE}
    assert list(project.venv.rglob(f"{BASE_PACKAGE}/__pycache__/*.pyc"))
    assert project.install() == ""


def test_changed_requirements_are_installed_exactly(project: Project) -> None:
    project.install()
    project.require("base", pinned("test", TEST_PACKAGE))
    project.install()
    assert project.packages() == {TEST_PACKAGE}


def test_the_tests_requirements_come_on_top_and_a_later_start_keeps_them(project: Project) -> None:
    project.install("test")
    assert project.packages() == {BASE_PACKAGE, TEST_PACKAGE}
    assert project.install("run") == ""
    project.require("frameworks", "\n")
    assert "installed in" in project.install("run")
    assert project.packages() == {BASE_PACKAGE, TEST_PACKAGE}


def test_an_interrupted_installation_is_made_anew(project: Project) -> None:
    project.install()
    (project.venv / "installing").touch()
    half_written = project.venv / "half-written"
    half_written.touch()
    assert "was interrupted" in project.install()
    assert not half_written.exists()
    assert project.packages() == {BASE_PACKAGE}


def test_a_failed_installation_says_so_and_the_next_one_succeeds(project: Project) -> None:
    wrong = re.sub(r"sha256:\w{8}", "sha256:00000000", pinned("base", BASE_PACKAGE))
    project.require("base", wrong)
    failed = project.run("scripts/install.sh", "run")
    assert failed.returncode == 1
    assert "set-up: the installation failed" in failed.stderr
    project.require("base", pinned("base", BASE_PACKAGE))
    project.install()
    assert project.packages() == {BASE_PACKAGE}


def test_an_environment_whose_python_is_gone_is_made_anew(project: Project) -> None:
    project.install()
    python = project.venv / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert "installed in" in project.install()
    assert project.packages() == {BASE_PACKAGE}


def test_a_python_that_is_too_old_is_named_with_what_is_needed(project: Project) -> None:
    old = project.root / "python3"
    old.write_text("#!/bin/sh\necho 3.9 /usr/bin/python3\n")
    old.chmod(0o755)
    done = project.run("scripts/install.sh", "run", PYTHON=str(old))
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is 3.9" in done.stderr


def test_no_python_at_all_is_said(project: Project) -> None:
    done = project.run("scripts/install.sh", "run", PYTHON="no-such-python")
    assert done.returncode == 1
    assert "found none (tried: no-such-python)" in done.stderr


def test_without_uv_pip_and_venv_the_message_says_what_to_install(project: Project) -> None:
    done = project.run(sys.executable, "-c", WITHOUT_INSTALLERS, PATH="/nowhere")
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert not project.venv.exists()


def test_an_unknown_set_of_requirements_is_refused(project: Project) -> None:
    done = project.run("scripts/install.sh", "all")
    assert done.returncode == 1
    assert "unknown set of requirements 'all': one of run, test, uv" in done.stderr
