"""What this machine allows to keep processes apart: decided once, by trying it. Django-free.

Says only what is possible; what one process sees is `jobs.runner.sandbox`. Asked by whoever starts a process that runs
an algorithm or reads somebody's file, and by workers and hosts, which report it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from mlplatform.core.env import PROJECT_ROOT, env_text

SETTING: Final = "MLPLATFORM_SANDBOX"
AUTO: Final = "auto"
BUBBLEWRAP: Final = "bubblewrap"
OFF: Final = "off"
MODES: Final = (AUTO, BUBBLEWRAP, OFF)
REMEDY: Final = (
    "install it (apt-get install bubblewrap) and allow user namespaces, or set MLPLATFORM_SANDBOX=auto"
)
_PROBE_S: Final = 60


class SandboxUnavailable(RuntimeError):
    """The setting asks for isolation that this machine does not give, or is none of the known ones."""


@dataclass(frozen=True)
class Isolation:
    """What is in force.

    Attributes:
        program: Path of bubblewrap; empty where processes see the whole machine.
        own_user: Whether each process gets a user id of its own, which only root can give.
        reason: Why there is no isolation; empty where there is.
        missing: Whether the reason is that the program is not installed.
    """

    program: str = ""
    own_user: bool = False
    reason: str = ""
    missing: bool = False

    @property
    def enclosed(self) -> bool:
        return bool(self.program)

    @property
    def name(self) -> str:
        return BUBBLEWRAP if self.enclosed else OFF

    @property
    def words(self) -> str:
        """One sentence for the log."""
        if self.enclosed:
            return "processes of jobs and models run in a sandbox (bubblewrap)"
        return f"processes of jobs and models run without a sandbox: {self.reason}"

    def report(self) -> dict[str, Any]:
        """As a worker or host tells it with its heartbeat."""
        told: dict[str, Any] = {"sandbox": self.name}
        if not self.enclosed:
            told |= {"sandbox_reason": self.reason, "sandbox_missing": self.missing}
        return told


def isolation() -> Isolation:
    """What `MLPLATFORM_SANDBOX` and this machine give. Raises SandboxUnavailable where the two do not agree."""
    mode = sandbox_mode()
    found = _found(mode)
    if mode == BUBBLEWRAP and not found.enclosed:
        raise SandboxUnavailable(f"{SETTING}=bubblewrap, but {found.reason}: {REMEDY}")
    return found


def sandbox_mode() -> str:
    mode = env_text(SETTING).strip().lower() or AUTO
    if mode not in MODES:
        raise SandboxUnavailable(f"{SETTING}={mode!r} is not known; use one of {', '.join(MODES)}")
    return mode


@cache
def _found(mode: str) -> Isolation:
    if mode == OFF:
        return Isolation(reason=f"it is switched off with {SETTING}=off")
    if sys.platform != "linux":
        return Isolation(reason="bubblewrap runs on Linux only")
    program = shutil.which("bwrap")
    if program is None:
        return Isolation(reason="bubblewrap is not installed", missing=True)
    own_user = Isolation(program, own_user=os.geteuid() == 0 and shutil.which("setpriv") is not None)
    said = _try(own_user)
    if said and own_user.own_user:
        own_user = replace(own_user, own_user=False)
        said = _try(own_user)
    return own_user if not said else Isolation(reason=f"bubblewrap does not work here ({said})")


def _try(candidate: Isolation) -> str:
    """Runs a first process in a sandbox; what it complained of, or nothing where all was well."""
    from jobs.runner.sandbox import Sandbox, user_of

    sandbox = Sandbox(isolation=candidate, user=user_of("probe"))
    argv = sandbox.argv([sys.executable, "-c", "import jobs.runner.spec"])
    try:
        done = subprocess.run(
            argv,
            env=sandbox.environment(
                {"PATH": os.defpath, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONSAFEPATH": "1"}
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"[:300]
    if done.returncode == 0:
        return ""
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return (lines[-1] if lines else f"exit code {done.returncode}")[:300]
