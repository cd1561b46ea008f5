"""Environments of scripts that have a requirements.txt: made once per content, kept, and used by many. Django-free.

An environment is a virtual environment with what the requirements add to the platform's own packages; those stay
visible below it, so that a script has all that its framework has. It is keyed by the text of the requirements and by
the platform's packages, found complete or not at all, and built in a process that has the network and sees nothing of
the platform. Called by workers (jobs) and hosts (models); where packages come from is said by uv's own configuration.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import site
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

import psutil
from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from jobs.runner.left_file import left_file_replace
from jobs.runner.sandbox import Mount
from jobs.runner.script_requirements import requirements_install
from mlplatform.core.errors import DataError
from mlplatform.core.storage.trees import tree_remove
from mlplatform.core.text import text as _

Say = Callable[[str], None]
Cancelled = Callable[[], bool]
REQUIREMENTS: Final = "requirements.txt"
REQUIREMENTS_MAX_BYTES: Final = 256 * 1024
_TOO_LARGE: Final = _("requirements.txt has more than {limit} bytes", limit=f"{REQUIREMENTS_MAX_BYTES:,}")
_COMPLETE: Final = ".complete"
_LOCK_POLL_S: Final = 0.1
_KEY_LENGTH: Final = 32
_SAME_AS: Final = {"xgboost": "xgboost-cpu", "tensorflow": "tensorflow-cpu"}
"""What is known by this name comes here in a package of that one, without the parts that only a GPU needs."""


class EnvironmentCancelled(Exception):
    """Whoever wanted the environment wants it no more."""


@dataclass(frozen=True)
class KeptEnvironment:
    """One environment in a cache, and when it was last asked for (seconds since the epoch); None: it is not whole."""

    path: Path
    used_at: float | None


def requirements_read(file: Path) -> str:
    """The text of a requirements.txt. Raises DataError for one that is too large, or no UTF-8 text."""
    if file.stat().st_size > REQUIREMENTS_MAX_BYTES:
        raise DataError(_TOO_LARGE)
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(_("{file} is not UTF-8 text", file=REQUIREMENTS)) from None


def script_environment(*, requirements: str, folder: Path, say: Say, cancelled: Cancelled) -> Path:
    """The interpreter that has what the requirements name; installs it unless it is kept from an earlier time.

    Args:
        requirements: Text of a requirements.txt.
        folder: Where environments are kept on this machine.
        say: Takes each line that the installation prints.
        cancelled: Asked several times a second while waiting or installing.

    Returns:
        The platform's own interpreter where its packages are enough.

    Raises:
        DataError: They cannot be installed; the message has the resolver's words.
        EnvironmentCancelled: `cancelled` said so.
        OSError: The disk is full.
    """
    if len(requirements.encode()) > REQUIREMENTS_MAX_BYTES:
        raise DataError(_TOO_LARGE)
    if _has_all(requirements):
        return Path(sys.executable)
    key = environment_key(requirements)
    environment = folder / key
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _locked(folder / f"{key}.lock", cancelled):
        if not (environment / _COMPLETE).is_file():
            _build(environment, requirements, say, cancelled)
        os.utime(environment / _COMPLETE)
    return interpreter_of(environment)


def environment_key(requirements: str) -> str:
    """What an environment is known by: changes with the text, and with the packages that it lies upon."""
    lines = "\n".join(line.strip() for line in requirements.splitlines() if _is_requirement(line))
    return hashlib.sha256(f"{_base_fingerprint()}\n{lines}".encode()).hexdigest()[:_KEY_LENGTH]


def environment_mounts(python: Path) -> tuple[Mount, ...]:
    """What a sandbox must show of the environment of an interpreter; nothing for the platform's own."""
    environment = python.parent.parent
    return (Mount(environment, environment),) if (environment / _COMPLETE).is_file() else ()


def interpreter_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def environments_kept(folder: Path) -> Iterator[KeptEnvironment]:
    """Those of a cache that no process of this machine runs from: whole ones, retired ones, what is left of a build."""
    if not folder.is_dir():
        return
    running = _running_words()
    for path in folder.iterdir():
        if path.is_dir() and not any(word.startswith(f"{path}/") for word in running):
            yield KeptEnvironment(path, _used_at(path))


def _used_at(environment: Path) -> float | None:
    try:
        return (environment / _COMPLETE).stat().st_mtime
    except FileNotFoundError:
        return None


def environment_retire(path: Path) -> bool:
    """Says that nobody is to find this one any more, so that it can be removed; False while somebody builds or asks for
    it.
    """
    with (path.parent / f"{path.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with contextlib.suppress(FileNotFoundError):
            (path / _COMPLETE).unlink()
    return True


def _build(environment: Path, requirements: str, say: Say, cancelled: Cancelled) -> None:
    """Makes it in its final place, since scripts in it know their interpreter by path."""
    tree_remove(environment)
    say("Installing requirements.txt")
    begun = time.monotonic()
    try:
        venv.EnvBuilder(symlinks=True, with_pip=False).create(environment)
        environment.chmod(0o755)
        _show_base(environment)
        wanted, bounds = _split(requirements)
        requirements_install(
            environment, interpreter_of(environment), wanted, bounds, _base_versions(), say, cancelled
        )
        if cancelled():
            raise EnvironmentCancelled
        left_file_replace(environment / _COMPLETE, requirements)
    except BaseException:
        with contextlib.suppress(OSError):
            tree_remove(environment)
        raise
    say(f"Installed requirements.txt in {time.monotonic() - begun:.1f} s")


def _show_base(environment: Path) -> None:
    """The platform's packages, after the environment's own."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / "lib" / version / "site-packages"
    text = "".join(f"{folder}\n" for folder in _base_folders())
    (packages / "platform_packages.pth").write_text(text, encoding="utf-8")


def _split(requirements: str) -> tuple[str, str]:
    """The lines that the platform's packages do not fulfil, and as constraints those that they do: an index need not
    have what is here, but what is installed shall not break what was asked for.
    """
    lines = requirements.splitlines()
    if any(line.rstrip().endswith("\\") for line in lines):
        return requirements, ""
    here = [line for line in lines if _is_requirement(line) and _has(line.strip())]
    wanted = [line for line in lines if line not in here]
    # A resolver would look in vain for one that is here under another name, or find another beside it.
    bounds = [line for line in here if _name_of(line) not in _SAME_AS]
    return "\n".join(wanted) + "\n", "\n".join(bounds) + "\n"


def _name_of(line: str) -> str:
    return str(canonicalize_name(Requirement(line.partition(" #")[0].strip()).name))


def _has_all(requirements: str) -> bool:
    """Whether the platform's own packages fulfil every line, so that there is nothing to install."""
    return all(_has(line.strip()) for line in requirements.splitlines() if _is_requirement(line))


def _has(line: str) -> bool:
    try:
        wanted = Requirement(line.partition(" #")[0].strip())
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
    except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
        return False  # uv says what is wrong with it
    version = _base_versions().get(canonicalize_name(wanted.name))
    if version is None or wanted.extras or wanted.url:
        return False
    return wanted.specifier.contains(version, prereleases=True)


def _is_requirement(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


@cache
def _base_versions() -> dict[str, str]:
    """The platform's packages by normalised name."""
    found = {}
    for distribution in distributions(path=[str(folder) for folder in _base_folders()]):
        name = distribution.metadata["Name"]
        if name:
            found[str(canonicalize_name(name))] = distribution.version
    same = {name: found[here] for name, here in _SAME_AS.items() if here in found and name not in found}
    return found | same


@cache
def _base_fingerprint() -> str:
    packages = [f"{name}=={version}" for name, version in sorted(_base_versions().items())]
    return "\n".join([platform.python_version(), platform.machine(), *map(str, _base_folders()), *packages])


def _base_folders() -> list[Path]:
    return [Path(folder) for folder in site.getsitepackages() if Path(folder).is_dir()]


@contextlib.contextmanager
def _locked(path: Path, cancelled: Cancelled) -> Iterator[None]:
    """Only one process at a time builds an environment, or looks whether it is there."""
    with path.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancelled():
                    raise EnvironmentCancelled from None
                time.sleep(_LOCK_POLL_S)
        yield


def _running_words() -> set[str]:
    """The words of the command lines of all processes: an interpreter of an environment is named by its path."""
    words: set[str] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words.update(process.cmdline())
    return words
