"""Starts a process in its sandbox and control group, and looks at and ends all that it starts. Django-free.

Bubblewrap stands twice between us and the program: as our child, whose end is the program's end, and as the first
process of a process namespace, with which the kernel ends everything in it. Neither may be asked to end before
the program; both report a signal as 128 plus its number. This module hides that. What a process sees is
`jobs.runner.sandbox`; used by `jobs.runner.launch` (jobs) and `endpoints.replicas` (model servers).

The thread that starts a process must outlive it: the kernel's parent-death signal follows the thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import psutil

from jobs.runner.control_groups import ControlGroup
from jobs.runner.sandbox import Sandbox

_START_S: Final = 30.0
_POLL_S: Final = 0.0005
_EXIT_POLL_S: Final = 0.005
_SETUP_FAILED: Final = 1
_SIGNAL_BASE: Final = 128
_LISTS_CHILDREN: Final = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()
"""Whether the kernel was built to."""
_GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)


class SandboxFailed(OSError):
    """The sandbox could not be set up, so that the program was never started."""


class EnclosedProcess:
    """A program and everything it started, in a session of its own.

    Attributes:
        pid: Of our child, which is also the number of the session and group.
        main_pid: Of the program itself; without a sandbox the same.
        output: What it prints, both streams.
        group: Its control group, if it has one.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        sandbox: Sandbox,
        environment: Mapping[str, str],
        group: ControlGroup | None = None,
        is_told: bool = False,
    ) -> None:
        """
        Args:
            is_told: Whether it reads from its standard input what `tell` is given.

        Raises:
            OSError: it cannot be started.
        """
        self._sandbox = sandbox
        self._is_told = is_told
        self.group = group
        self._report = _Report() if sandbox.enclosed else None
        try:
            self._popen = self._start(argv, environment)
        except OSError:
            self._close()
            raise
        assert self._popen.stdout is not None
        self.pid = self.main_pid = self._popen.pid
        self.output: IO[bytes] = self._popen.stdout
        self._first_pid = 0
        if self._report is not None:
            self._await_program(self._report)

    @property
    def enclosed(self) -> bool:
        """Whether it has a process namespace, with which everything in it ends."""
        return self._report is not None

    @property
    def returncode(self) -> int | None:
        """The exit status once it was reaped: 0 to 255, or minus the signal's number."""
        return (
            None
            if self._popen.returncode is None
            else exit_status(self._popen.returncode, enclosed=self.enclosed)
        )

    def exited(self) -> bool:
        """Whether the program has ended. It is not reaped, so that its number cannot be given to another."""
        if self._popen.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def exits_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not self.exited() and time.monotonic() < deadline:
            time.sleep(_EXIT_POLL_S)
        return self.exited()

    def reap(self) -> int:
        """The exit status. Call after `exited`, and after `kill`.

        Raises:
            SandboxFailed: the program was never started.
        """
        returncode = self._popen.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        was_started = self._report is None or returncode != _SETUP_FAILED or self._report.has_ended()
        self._close()
        if not was_started:
            said = _rest(self.output)
            raise SandboxFailed(f"the sandbox could not be set up: {said or f'exit code {returncode}'}")
        return exit_status(returncode, enclosed=self.enclosed)

    def tell(self, data: bytes) -> None:
        """Writes to its standard input. Raises OSError: it has ended."""
        assert self._popen.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._popen.stdin.write(view) or 0 :]

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the processes of the program's group; bubblewrap's own two get none but SIGKILL."""
        if not self.enclosed or number == signal.SIGKILL:
            with contextlib.suppress(*_GONE):
                os.killpg(self.pid, number)
            return
        for process in self.processes():
            with contextlib.suppress(*_GONE):
                if os.getpgid(process.pid) == self.pid:
                    process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """The live processes of the program: those of its session and its control group, and their descendants.

        In a process namespace all of them descend from its first process, so that nobody else need be looked at.
        """
        if self._first_pid and _LISTS_CHILDREN:
            mine = _descendants(self._first_pid) if _session_of(self._first_pid) == self.pid else []
            return [process for pid in mine if (process := _living(pid)) is not None]
        pids = set() if self.group is None else self.group.pids()
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(*_GONE):
                ours = process.pid in pids or process.ppid() in found or os.getsid(process.pid) == self.pid
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = process
        return [process for pid, process in found.items() if pid not in self._bubblewrap_pids()]

    def all_gone(self) -> bool:
        """Whether the program has ended and with it its process namespace, where it has one."""
        return self.exited() and not (self._first_pid and _lives(self._first_pid))

    def memory_kills(self) -> int:
        return 0 if self.group is None else self.group.memory_kills()

    def peak_memory_bytes(self) -> int:
        return 0 if self.group is None else self.group.peak_memory_bytes()

    def _start(self, argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        report = self._report
        line = self._sandbox.argv(argv, status_fd=None if report is None else report.writing)
        return subprocess.Popen(
            line if self.group is None else self.group.joined(line),
            cwd=self._sandbox.folder,
            env=self._sandbox.environment(environment),
            # Where the program cannot see our process, the end of this pipe says that we are gone.
            stdin=subprocess.PIPE if report is not None or self._is_told else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            close_fds=True,
            pass_fds=() if report is None else (report.writing,),
        )

    def _await_program(self, report: _Report) -> None:
        """Waits, a few milliseconds, until the program's own process is there, so that signals can reach it."""
        report.close_writing()
        self._first_pid = report.first_pid()
        deadline = time.monotonic() + _START_S
        while self._first_pid and not self.exited() and time.monotonic() < deadline:
            children = _children(self._first_pid)
            if children:
                self.main_pid = children[0]
                return
            time.sleep(_POLL_S)

    def _bubblewrap_pids(self) -> set[int]:
        return {self.pid, self._first_pid} if self.enclosed else set()

    def _close(self) -> None:
        if self._report is not None:
            self._report.close()
        if self.group is not None:
            self.group.remove()


def exit_status(returncode: int, *, enclosed: bool) -> int:
    """Minus the signal's number for a program ended by one. Bubblewrap says 128 + n then; a program in a sandbox that
    ends itself with such a code counts as ended by that signal too.
    """
    if not enclosed or not _SIGNAL_BASE < returncode < _SIGNAL_BASE + signal.NSIG:
        return returncode
    return _SIGNAL_BASE - returncode


class _Report:
    """What bubblewrap tells of the program: its start, and its end if it was started."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe2(os.O_CLOEXEC)
        self._text = b""

    def close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        self.close_writing()
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1

    def first_pid(self) -> int:
        """The first process of the namespace, by our numbers; 0 where bubblewrap ended before there was one."""
        deadline = time.monotonic() + _START_S
        while b"\n" not in self._text and self._read(deadline - time.monotonic()):
            continue
        return next((int(said["child-pid"]) for said in self._said() if "child-pid" in said), 0)

    def has_ended(self) -> bool:
        """Whether the program was started and has ended. Call when bubblewrap has ended."""
        while self._read(0):
            continue
        return any("exit-code" in said for said in self._said())

    def _read(self, timeout_s: float) -> bool:
        if self._reading < 0 or not select.select([self._reading], [], [], max(0.0, timeout_s))[0]:
            return False
        data = os.read(self._reading, 4096)
        self._text += data
        return bool(data)

    def _said(self) -> list[dict[str, Any]]:
        """Its documents; each is an object, spread over lines."""
        decoder, text, found = json.JSONDecoder(), self._text.decode("ascii", "replace").lstrip(), []
        while text:
            try:
                document, end = decoder.raw_decode(text)
            except ValueError:
                break
            found.append(document)
            text = text[end:].lstrip()
        return found


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        with contextlib.suppress(*_GONE):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    return [int(word) for word in text.split()]


def _session_of(pid: int) -> int:
    """Its session, whose number is nobody else's while our child is not reaped; 0 where it has ended."""
    try:
        return os.getsid(pid)
    except _GONE:
        return 0


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        found += _children_of_threads(each)
    return found[1:]


def _children_of_threads(pid: int) -> list[int]:
    """Its children, whichever of its threads started them."""
    try:
        texts = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has ended meanwhile, and its children are the first process' now
        return []
    return [int(word) for text in texts for word in text.split()]


def _living(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except _GONE:
        return None


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False


def _rest(output: IO[bytes]) -> str:
    """What bubblewrap complained of, if nobody has read it yet."""
    with contextlib.suppress(OSError, ValueError):
        os.set_blocking(output.fileno(), False)
        return (output.read(4096) or b"").decode("utf-8", "replace").strip()[-300:]
    return ""
