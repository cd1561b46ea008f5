"""Starts a job's process in a sandbox and session of its own, and ends it with everything it started. Django-free.

What the process prints is followed by `jobs.runner.follow`; how it is enclosed is `jobs.runner.enclosed`. The
process is exec'ed, never forked and run on, because a fork after an OpenMP computation hangs; its environment
holds no secret of the platform.

The thread that launches must outlive the process: the kernel's parent-death signal, which the process asks
for, follows the thread and not the worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import psutil

from jobs.runner.control_groups import GroupLimits, control_group_make
from jobs.runner.enclosed import EnclosedProcess
from jobs.runner.sandbox import Mount, Sandbox, user_of
from mlplatform.core import BLAS_PATIENCE
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.names import REGION

OPT_ML: Final = Path("/opt/ml")
"""Where a job in a sandbox finds its folder, as the service has it."""
GROUP_PREFIX: Final = "job-"
MARKER: Final = "MLPLATFORM_JOB_PROCESS"
"""Set in the environment of every process of a job, by which stragglers in other sessions are found."""
_KILL_ROUNDS_S: Final = 5.0
_KILL_POLL_S: Final = 0.01
_GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)


class JobProcess:
    """A running job: the first process, and all that descend from it."""

    def __init__(self, process: EnclosedProcess, marker: str) -> None:
        self._process = process
        self._marker = marker
        self.pid = process.pid
        self.main_pid = process.main_pid
        self.output: IO[bytes] = process.output

    def exited(self) -> bool:
        """Whether the first process has ended. It is not reaped, so that its number cannot be given to
        another.
        """
        return self._process.exited()

    def reap(self) -> int:
        """The exit status: 0 to 255, or minus the signal's number. Call after `exited` and `kill`.

        Raises:
            SandboxFailed: the job's program was never started.
        """
        return self._process.reap()

    def tell(self, data: bytes) -> None:
        """Writes to the standard input of one that was started with `is_told`. Raises OSError: it has ended."""
        self._process.tell(data)

    def abandon(self) -> None:
        """Gives up what was never followed. Call after `kill`."""
        with contextlib.suppress(OSError):
            self.reap()
        self.output.close()

    def terminate(self) -> None:
        """Asks all processes of the job's group to end."""
        self._process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends every process of the job, those that left its group and session too. Waits until they are
        gone.
        """
        deadline = time.monotonic() + _KILL_ROUNDS_S
        while True:
            self._process.signal(signal.SIGKILL)
            alive = [process for process in self._members() if _kill(process)]
            if not alive and self._process.all_gone():
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
        members = self._process.processes()
        resident = sum(_resident(process) for process in members)
        if resident <= exact_above or len(members) == 1:
            return resident
        return sum(_proportional(process) for process in members)

    @property
    def counts_memory(self) -> bool:
        """Whether the kernel counts the memory of this job by itself."""
        return self._process.group is not None

    def memory_kills(self) -> int:
        """How many of its processes the kernel ended for want of memory."""
        return self._process.memory_kills()

    def peak_memory_bytes(self) -> int:
        """The most memory it has used at once, as the kernel has it; 0 where the kernel does not count it."""
        return self._process.peak_memory_bytes()

    def _members(self) -> list[psutil.Process]:
        """The job's live processes. Without a process namespace, those that hid are told by their marker."""
        members = self._process.processes()
        if self._process.enclosed:
            return members
        marked = marked_processes(prefix=self._marker)
        return members + [process for process, marker in marked if marker == self._marker]


def job_launch(
    *,
    argv: Sequence[str],
    environment: Mapping[str, str],
    marker: str,
    sandbox: Sandbox,
    limits: GroupLimits | None = None,
    is_told: bool = False,
) -> JobProcess:
    """Starts `argv` in the sandbox's folder.

    Args:
        argv, environment: With paths as the process sees them. The environment is the whole one; nothing of this
            process' own is added but the marker.
        marker: Names the job and attempt.
        limits: What all of its processes may use together, where the kernel can be told.
        is_told: Whether it reads its standard input, see `JobProcess.tell`.

    Raises:
        OSError: the program cannot be started.
    """
    group = None if limits is None else control_group_make(f"{GROUP_PREFIX}{Path(marker).name}", limits)
    process = EnclosedProcess(
        argv, sandbox=sandbox, environment={**environment, MARKER: marker}, group=group, is_told=is_told
    )
    return JobProcess(process, marker)


def job_sandbox(*, root: Path, network: bool = False, further: Iterable[Mount] = ()) -> Sandbox:
    """What a job sees: its folder as `/opt/ml`, of which `input` cannot be written, and its own `/tmp`.

    Args:
        network: Built-in algorithms need none. Code of users that does is given it by who starts the job.
        further: What it sees beside that.
    """
    temporary = root / "tmp"
    return Sandbox(
        folder=root,
        mounts=(
            Mount(root, OPT_ML, writable=True),
            Mount(root / "input", OPT_ML / "input"),
            Mount(temporary, Path("/tmp"), writable=True),
            Mount(temporary / "shm", Path("/dev/shm"), writable=True),
            *further,
        ),
        network=network,
        user=user_of(root.name),
        temporary=False,
    )


def job_environment(*, folder: Path, job_name: str, job_arn: str, given: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a job process: what Python needs, what the service sets, and the job's own
    variables.

    Args:
        folder: The job's folder, as the process sees it.
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
        BLAS_PATIENCE: os.environ[BLAS_PATIENCE],
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
