"""Installs a requirements.txt into a virtual environment, in a process of its own. Django-free.

That process has the network, since packages come from there, and sees nothing else of the platform: a package may run
code while it is built. `uv` resolves and installs; where packages are looked for is said by uv's own configuration
(`UV_…` variables, `uv.toml`), which is handed on. Called by `jobs.runner.script_environment` only.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import psutil
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from jobs.runner.control_groups import N_PROCESSES, GroupLimits, control_group_make
from jobs.runner.disk_use import DiskUse
from jobs.runner.enclosed import EnclosedProcess
from jobs.runner.left_file import left_file_head, left_file_replace
from jobs.runner.sandbox import Mount, Sandbox, hand_over, user_of
from mlplatform.core.errors import DataError
from mlplatform.core.log_lines import LineSplitter
from mlplatform.core.storage.trees import tree_remove
from mlplatform.core.text import text as _

BUILD: Final = ".build"
INSTALL_S: Final = 1800.0
MEMORY_BYTES: Final = 4 * 1024**3
DISK_BYTES: Final = 20 * 1024**3
DISK_EVERY_S: Final = 2.0
WORDS_MAX: Final = 900
_TICK_S: Final = 0.1
_TAIL_LINES: Final = 60
_READ_BYTES: Final = 64 * 1024
_READ_MAX_BYTES: Final = 16 * 1024**2
_END_S: Final = 5.0
_PASSED: Final = frozenset(
    {
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    }
)
"""Beside uv's own variables; in capitals or not."""
_OURS: Final = frozenset(
    {
        "UV_CACHE_DIR",
        "UV_NO_CACHE",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_BREAK_SYSTEM_PACKAGES",
        "UV_PROJECT_ENVIRONMENT",
        "UV_LINK_MODE",
        "UV_TARGET",
        "UV_PREFIX",
        "UV_OUTPUT_FILE",
        "UV_WORKING_DIR",
        "UV_PROJECT",
        "UV_CONFIG_FILE",
        "UV_NO_CONFIG",
    }
)
_PLACES: Final = ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_HASHES: Final = "--hash"


def requirements_install(
    environment: Path,
    python: Path,
    requirements: str,
    constraints: str,
    base: Mapping[str, str],
    say: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> None:
    """Installs what the requirements need and the platform has not, in the very version that was chosen.

    Args:
        environment: A virtual environment; `python` is its interpreter.
        constraints: What holds for packages that come in only because others need them.
        base: The platform's packages: name to version, preferred where the requirements leave a choice.

    Raises:
        DataError: The resolver or a package refuses; the message has its words.
        OSError: The process cannot be started, or the disk is full.
    """
    build = _Build(environment, say, cancelled)
    try:
        build.write("requirements.txt", requirements)
        wanted = "requirements.txt"
        if _HASHES not in requirements:
            build.write("constraints.txt", constraints)
            build.write("chosen.txt", "".join(f"{name}=={version}\n" for name, version in base.items()))
            build.uv("pip", "compile", "--python", str(python), *_COMPILE, wanted)
            missing = list(_missing(build.read("chosen.txt"), base))
            if not any(_named(line) for line in missing):
                return
            build.write("missing.txt", "".join(f"{line}\n" for line in missing))
            wanted = "missing.txt"
        no_dependencies = [] if wanted == "requirements.txt" else ["--no-deps"]
        build.uv("pip", "install", "--python", str(python), *no_dependencies, "-r", wanted)
    finally:
        build.remove()


_COMPILE: Final = (
    "--quiet",
    "--no-header",
    "--no-annotate",
    "--emit-index-url",
    "--emit-find-links",
    "-c",
    "constraints.txt",
    "-o",
    "chosen.txt",
)


class _Build:
    """The folder and the processes of one installation."""

    def __init__(self, environment: Path, say: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
        self._folder = environment / BUILD
        self._say = say
        self._cancelled = cancelled
        self._deadline = time.monotonic() + INSTALL_S
        for name in ("work", "tmp"):
            (self._folder / name).mkdir(parents=True, mode=0o755)
        self._sandbox = Sandbox(
            folder=self._folder / "work",
            mounts=(
                Mount(environment, environment, writable=True),
                # What we write and read between two commands cannot be led elsewhere by what the first one runs.
                Mount(self._folder, self._folder),
                Mount(self._folder / "work", self._folder / "work", writable=True),
                *(Mount(place, place) for place in _places()),
                Mount(self._folder / "tmp", Path("/tmp"), writable=True),
            ),
            network=True,
            user=user_of(environment.name),
            temporary=False,
        )
        self._environment = environment

    def write(self, name: str, text: str) -> None:
        left_file_replace(self._folder / "work" / name, text)

    def read(self, name: str) -> str:
        try:
            return left_file_head(self._folder / "work", name, _READ_MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            tree_remove(self._folder)

    def uv(self, *arguments: str) -> None:
        """Runs one command of uv to its end. Raises DataError with what it said where that was a refusal."""
        hand_over(self._environment, self._sandbox.own_user)
        self._environment.chmod(0o755)
        group = control_group_make(
            f"build-{self._environment.name}", GroupLimits(MEMORY_BYTES, N_PROCESSES, 0)
        )
        process = EnclosedProcess(
            [find_uv_bin(), *arguments], sandbox=self._sandbox, environment=self._variables(), group=group
        )
        lines: deque[str] = deque(maxlen=_TAIL_LINES)
        disk = DiskUse([self._environment], every_s=DISK_EVERY_S, now=time.monotonic())
        try:
            ended = self._follow(process, lines, disk)
        finally:
            disk.close()
            self._end(process)
            code = process.reap()
            process.output.close()
        if not ended and self._cancelled():
            return
        if not ended:
            raise DataError(
                _("requirements.txt was not installed within {n} minutes", n=f"{INSTALL_S / 60:.0f}")
            )
        if code != 0:
            raise DataError(_("requirements.txt cannot be installed: {said}", said=_refusal(lines, code)))

    def _follow(self, process: EnclosedProcess, lines: deque[str], disk: DiskUse) -> bool:
        """Hands on what is printed; whether the process ended by itself. Raises DataError: it fills the disk."""
        splitter = LineSplitter()
        os.set_blocking(process.output.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(process.output, selectors.EVENT_READ)
            is_open = True
            while is_open or not process.exited():
                if self._cancelled() or time.monotonic() > self._deadline:
                    return False
                if (disk.look(time.monotonic()) or 0) > DISK_BYTES:
                    limit = f"{DISK_BYTES / 2**30:.0f}"
                    raise DataError(_("requirements.txt needs more than {limit} GiB on disk", limit=limit))
                if not is_open:
                    time.sleep(_TICK_S / 10)
                elif selector.select(_TICK_S):
                    data = process.output.read(_READ_BYTES)
                    is_open = data != b""
                    if not is_open:
                        selector.unregister(process.output)
                    self._take(splitter.feed(data or b"", 0).texts, lines)
                elif process.exited():
                    break
        self._take(splitter.end(0).texts, lines)
        return True

    def _take(self, said: list[str], lines: deque[str]) -> None:
        for line in said:
            lines.append(line)
            self._say(line)

    def _end(self, process: EnclosedProcess) -> None:
        """With everything it started: a build may have left something running."""
        deadline = time.monotonic() + _END_S
        while time.monotonic() < deadline:
            process.signal(signal.SIGKILL)
            for left in process.processes():
                with contextlib.suppress(psutil.Error, OSError):
                    left.kill()
            if process.all_gone() and not process.processes():
                return
            time.sleep(_TICK_S / 10)

    def _variables(self) -> dict[str, str]:
        temporary = self._sandbox.inside(self._folder / "tmp")
        given = {
            name: value
            for name, value in os.environ.items()
            if name.upper() in _PASSED or (name.startswith("UV_") and name not in _OURS)
        }
        config = _configuration()
        return {
            **given,
            **({"UV_CONFIG_FILE": str(config)} if config else {}),
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "UV_CACHE_DIR": str(temporary / "cache"),
            "UV_LINK_MODE": "copy",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
        }


def _missing(chosen: str, base: Mapping[str, str]) -> Iterator[str]:
    """The lines that name what the platform has not in this version, and those that are options."""
    for line in chosen.splitlines():
        name = _named(line)
        version = base.get(name) if name else None
        if line.strip() and (
            version is None or line.strip() != f"{line.partition('==')[0].strip()}=={version}"
        ):
            yield line.strip()


def _named(line: str) -> str:
    """The normalised name of the package of a line; empty for an option."""
    try:
        return str(canonicalize_name(Requirement(line.strip()).name))
    except InvalidRequirement:
        return ""


def _refusal(lines: Sequence[str], code: int) -> str:
    """What uv said last, from where it begins to explain."""
    begins = [
        index for index, line in enumerate(lines) if line.lstrip().startswith(("error:", "×", "Caused by:"))
    ]
    told = [line.strip(" ╰─▶│×") for line in list(lines)[begins[0] if begins else -5 :]]
    words = " ".join(filter(None, told)).removeprefix("error:").strip()
    return words[:WORDS_MAX] or _("exit code {code}", code=code)


def _configuration() -> Path | None:
    """uv's file of settings that holds for this user."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    named = os.environ.get("UV_CONFIG_FILE")
    candidates = [*([Path(named)] if named else []), home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    return next((path.absolute() for path in candidates if path.is_file()), None)


def _places() -> list[Path]:
    """Files and folders of this machine that uv's settings name."""
    words = [word for name in _PLACES for word in os.environ.get(name, "").replace(",", " ").split()]
    words += [os.environ.get(name, "") for name in _PASSED if name.startswith("SSL_")]
    found = [_local(word.partition("=")[2] if "=file:" in word else word) for word in words]
    config = _configuration()
    return list(dict.fromkeys([path for path in [*found, config] if path is not None and path.exists()]))


def _local(word: str) -> Path | None:
    if word.startswith("file:"):
        return Path(unquote(urlsplit(word).path))
    return Path(word) if word.startswith("/") else None
