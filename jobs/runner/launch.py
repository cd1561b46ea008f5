"""Starts a job's process in a session of its own, and ends it with everything it started. Django-free.

What the process prints is followed by `jobs.runner.follow`. The process is exec'ed, never forked and run on,
because a fork after an OpenMP computation hangs; its environment holds no secret of the platform.

The thread that launches must outlive the process: the kernel's parent-death signal, which the process asks
for, follows the thread and not the worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import psutil

from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.names import REGION

MARKER: Final = "MLPLATFORM_JOB_PROCESS"
"""Set in the environment of every process of a job, by which stragglers in other sessions are found."""
_KILL_ROUNDS_S: Final = 5.0
_KILL_POLL_S: Final = 0.01
_GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)


class JobProcess:
    """A running job: the first process, and all that descend from it."""

    def __init__(self, popen: subprocess.Popen[bytes], marker: str) -> None:
        assert popen.stdout is not None
        self._popen = popen
        self._marker = marker
        self.pid = popen.pid
        self.output: IO[bytes] = popen.stdout

    def exited(self) -> bool:
        """Whether the first process has ended. It is not reaped, so that its number cannot be given to
        another.
        """
        if self._popen.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap(self) -> int:
        """The exit status: 0 to 255, or minus the signal's number. Call after `exited`."""
        return self._popen.wait()

    def terminate(self) -> None:
        """Asks all processes of the job's group to end."""
        with contextlib.suppress(*_GONE):
            os.killpg(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends every process of the job, those that left its group and session too. Waits until they are
        gone.
        """
        deadline = time.monotonic() + _KILL_ROUNDS_S
        while True:
            with contextlib.suppress(*_GONE):
                os.killpg(self.pid, signal.SIGKILL)
            alive = [process for process in self._members(thorough=True) if _kill(process)]
            if not alive and (self.exited() or time.monotonic() > deadline):
                return
            if time.monotonic() > deadline:
                return
            # Not psutil's own waiting, which would reap the first process.
            time.sleep(_KILL_POLL_S)

    def memory_bytes(self, *, exact_above: int) -> int:
        """Resident memory of all processes of the job.

        Args:
            exact_above: Beyond this many bytes, pages shared between several processes are counted once.
        """
        members = list(self._members(thorough=False))
        resident = sum(_resident(process) for process in members)
        if resident <= exact_above or len(members) == 1:
            return resident
        return sum(_proportional(process) for process in members)

    def _members(self, *, thorough: bool) -> Iterator[psutil.Process]:
        """The live processes of the job's session; `thorough` also looks for the marker in all environments."""
        for process in psutil.process_iter():
            try:
                mine = os.getsid(process.pid) == self.pid
                if not mine and thorough and process.pid != os.getpid():
                    mine = process.environ().get(MARKER) == self._marker
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except _GONE:
                continue


def job_launch(
    *, argv: Sequence[str], folder: Path, environment: Mapping[str, str], marker: str
) -> JobProcess:
    """Starts `argv` in `folder`.

    Args:
        environment: The whole environment of the process; nothing of this process' own is added but the
            marker.
        marker: Names the job and attempt.

    Raises:
        OSError: the program cannot be started.
    """
    popen = subprocess.Popen(
        list(argv),
        cwd=folder,
        env={**environment, MARKER: marker},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
        close_fds=True,
    )
    return JobProcess(popen, marker)


def job_environment(*, folder: Path, job_name: str, job_arn: str, given: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a job process: what Python needs, what the service sets, and the job's own
    variables.
    """
    return {
        **given,
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TRAINING_JOB_NAME": job_name,
        "TRAINING_JOB_ARN": job_arn,
        "AWS_REGION": REGION,
    }


def marked_processes(*, prefix: str) -> list[tuple[psutil.Process, str]]:
    """The processes of jobs on this machine whose marker begins with `prefix`, each with its marker."""
    found = []
    for process in psutil.process_iter():
        try:
            marker = process.environ().get(MARKER, "")
        except _GONE:
            continue
        if marker.startswith(prefix) and process.pid != os.getpid():
            found.append((process, marker))
    return found


def processes_kill(processes: Iterable[psutil.Process]) -> int:
    """Ends them; how many there still were. One whose number was given to another meanwhile is left alone."""
    return sum(_kill(process) for process in processes)


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except _GONE:
        return False
    return True


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except _GONE:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except _GONE:
        return 0
