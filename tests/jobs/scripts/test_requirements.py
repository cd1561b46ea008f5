"""Environments of requirements.txt: made once per content, kept, used without network, refused in uv's own words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.keeping import environments_unused
from jobs.runner import script_environment as environments
from jobs.runner import script_requirements
from jobs.runner.script_environment import (
    REQUIREMENTS_MAX_BYTES,
    EnvironmentCancelled,
    environment_key,
    environment_mounts,
    environments_kept,
    requirements_read,
    script_environment,
)
from jobs.services.clearing import environments_dir
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import DataError
from mlplatform.core.status import FailureKind
from tests.jobs.scripts.stage import SAVE, log_of, run, script_job, texts
from tests.jobs.scripts.wheels import source_make, wheel_make, wheels
from tests.jobs.training.cast import Cast
from tests.sandboxes import either_way

pytestmark = pytest.mark.slow
__all__ = ["either_way", "wheels"]


def install(requirements: str, folder: Path, said: list[str] | None = None) -> Path:
    say = [].append if said is None else said.append
    return script_environment(requirements=requirements, folder=folder, say=say, cancelled=lambda: False)


def output_of(python: Path, code: str) -> str:
    environment = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


def test_what_the_platform_has_is_not_installed(tmp_path: Path) -> None:
    text = "# what it imports\nscikit-learn>=1.0\nnumpy # arrays\n\nxgboost\npandas; python_version < '3'\n"
    assert install(text, tmp_path / "kept") == Path(sys.executable)
    assert not (tmp_path / "kept").exists()
    assert environment_mounts(Path(sys.executable)) == ()


def test_it_lies_upon_the_platforms_packages(wheels: Path, tmp_path: Path, either_way: str) -> None:
    """A package of its own wins, with what it needs; all else is the platform's."""
    wheel_make(wheels, "tabulate", "0.0.1", body="NAME = 'mine'", requires="deep_one>=1")
    wheel_make(wheels, "deep_one", "1.2", body="NAME = 'deep'")
    said: list[str] = []
    python = install("tabulate==0.0.1\nnumpy\n", tmp_path / "kept", said)
    code = "import tabulate, deep_one, numpy; print(tabulate.NAME, deep_one.NAME, numpy.__file__)"
    mine, deep, numpy = output_of(python, code).split()
    assert (mine, deep) == ("mine", "deep") and str(python.parent.parent) not in numpy
    assert any("tabulate==0.0.1" in line for line in said)
    assert [mount.inside for mount in environment_mounts(python)] == [python.parent.parent]
    shutil.rmtree(wheels)
    said.clear()
    assert install("tabulate==0.0.1\nnumpy\n\n# a remark\n", tmp_path / "kept", said) == python
    assert said == []


def test_two_that_need_the_same_build_it_once(wheels: Path, tmp_path: Path) -> None:
    wheel_make(wheels, "onlyhere", "1.0", body="")
    said: list[str] = []
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(install("onlyhere", tmp_path / "kept", said)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(found)) == 1 and len(found) == 2
    assert said.count("Installing requirements.txt") == 1


def test_a_refusal_has_the_resolvers_words_and_leaves_nothing(wheels: Path, tmp_path: Path) -> None:
    wheel_make(wheels, "first", "1.0", body="", requires="second>=2")
    wheel_make(wheels, "second", "1.0", body="")
    with pytest.raises(DataError) as caught:
        install("first\nsecond==1.0\n", tmp_path / "kept")
    assert "requirements.txt cannot be installed" in caught.value.message
    assert "second" in caught.value.message and "unsatisfiable" in caught.value.message
    assert not [path for path in (tmp_path / "kept").iterdir() if path.is_dir()]
    for wrong in ("no such thing at all!", "-r /etc/passwd", "./here", "first; python_version ~= 'abc'"):
        with pytest.raises(DataError):
            install(wrong, tmp_path / "kept")


HOSTILE = """
import os

def build_wheel(folder, *_):
    for place, target in {links!r}.items():
        try:
            if os.path.lexists(place):
                os.rename(place, place + ".was")
            os.symlink(target, place)
        except OSError as error:
            print("kept", error)
    with open(folder + "/hostile-1.0-py3-none-any.whl", "wb") as file:
        file.write(bytes.fromhex({wheel!r}))
    return "hostile-1.0-py3-none-any.whl"
"""


def test_what_a_build_puts_in_the_place_of_our_files_leads_nowhere(wheels: Path, tmp_path: Path) -> None:
    """It may write where it is installed; we write there too when it has ended, and see what it does not."""
    outside, elsewhere, text = tmp_path / "outside", tmp_path / "elsewhere", "hostile==1.0\n"
    for folder in (outside, elsewhere):
        folder.mkdir()
    secret = outside / "secret_key"
    secret.write_text("SECRET")
    wheel = wheel_make(elsewhere, "hostile", "1.0", body="NAME = 'hostile'").read_bytes().hex()
    environment = tmp_path / "kept" / environment_key(text)
    links = {
        ".complete": secret,
        ".build/work/missing.txt": secret,
        ".build/work": outside,
        ".build": outside,
    }
    build = HOSTILE.format(
        links={str(environment / place): str(target) for place, target in links.items()}, wheel=wheel
    )
    source_make(wheels, "hostile", "1.0", build=build)
    python = install(text, tmp_path / "kept")
    assert output_of(python, "import hostile; print(hostile.NAME)") == "hostile"
    assert [path.name for path in outside.iterdir()] == ["secret_key"] and secret.read_text() == "SECRET"
    assert (environment / ".complete").read_text() == text


def test_one_that_fills_the_disk_is_ended(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_requirements, "DISK_BYTES", 64 * 1024**2)
    monkeypatch.setattr(script_requirements, "DISK_EVERY_S", 0.1)
    fill = "with open('/tmp/fill', 'wb') as file:\n    while True:\n        file.write(bytes(2**20))\n"
    source_make(wheels, "hungry", "1.0", build=fill)
    with pytest.raises(DataError, match="GiB on disk"):
        install("hungry==1.0\n", tmp_path / "kept")
    assert list(environments_kept(tmp_path / "kept")) == []


def test_one_that_nobody_wants_any_more_is_not_finished(wheels: Path, tmp_path: Path) -> None:
    wheel_make(wheels, "onlyhere", "1.0", body="")
    asked = iter([False, True])
    with pytest.raises(EnvironmentCancelled):
        script_environment(
            requirements="onlyhere",
            folder=tmp_path / "kept",
            say=lambda line: None,
            cancelled=lambda: next(asked, True),
        )
    assert list(environments_kept(tmp_path / "kept")) == []


def test_the_key_is_the_contents() -> None:
    assert environment_key("a==1\n") == environment_key("# said\n\na==1")
    assert environment_key("a==1") != environment_key("a==2")


def test_one_not_used_for_long_goes_unless_something_runs_from_it(
    wheels: Path, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path / "data"
    wheel_make(wheels, "onlyhere", "1.0", body="")
    python = install("onlyhere", environments_dir())
    marker = python.parent.parent / environments._COMPLETE
    assert list(environments_unused()) == []
    old = time.time() - 31 * 24 * 3600
    os.utime(marker, (old, old))
    with subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE) as popen:
        assert list(environments_unused()) == [] and marker.exists()
        popen.communicate()
    assert list(environments_unused()) == [] and not marker.exists()
    assert list(environments_unused()) == [python.parent.parent]
    settings.MLPLATFORM_KEEP_ENVIRONMENTS_DAYS = 0
    assert install("onlyhere", environments_dir()) == python
    os.utime(marker, (old, old))
    assert list(environments_unused()) == [] and marker.exists()


def test_a_script_with_requirements_of_its_own(threads_cast: Cast, worker: WorkerState, wheels: Path) -> None:
    """The second time without anything to install from."""
    wheel_make(wheels, "onlyhere", "1.0", body="WORD = 'found'")
    script = f"import onlyhere, packaging, sys\nprint(onlyhere.WORD, sys.executable)\n{SAVE}\n"
    files = texts(train_py=script) | {"requirements.txt": b"onlyhere==1.0\n"}
    job = run(script_job(threads_cast.alice, files), worker)
    assert job.status == "Completed", log_of(job)
    log = log_of(job)
    assert "+ onlyhere==1.0" in log and "found " + str(environments_dir()) in log
    assert [event.message for event in job.events.all()].count(
        "Preparing the packages of requirements.txt"
    ) == 1
    shutil.rmtree(wheels)
    again = run(script_job(threads_cast.alice, files), worker)
    assert again.status == "Completed" and "Installing" not in log_of(again)


def test_requirements_that_cannot_be_installed_are_the_jobs_failure(
    threads_cast: Cast, worker: WorkerState, wheels: Path
) -> None:
    files = {"train.py": SAVE.encode(), "requirements.txt": b"no-such-package==7\n"}
    job = run(script_job(threads_cast.alice, files), worker)
    assert job.status == "Failed" and job.failure is not None
    assert job.failure["kind"] == FailureKind.CLIENT_ERROR
    assert "requirements.txt cannot be installed" in job.failure["reason"]
    assert "no-such-package" in job.failure["reason"] and "no-such-package" in log_of(job)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"caf\xe9\n", "not UTF-8"), (b"x" * (REQUIREMENTS_MAX_BYTES + 1), "more than 262,144 bytes")],
)
def test_a_file_of_requirements_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=words):
        requirements_read(file)
