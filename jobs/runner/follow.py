"""Follows a job's process until it has ended: reads its output, enforces its limits, carries out orders.
Django-free.

It knows neither the database nor what the ending means; that is `jobs.runner.outcome`. Called by the worker
in the thread that launched the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from jobs.runner.disk_use import DiskUse
from jobs.runner.launch import JobProcess
from mlplatform.core.log_lines import LineSplitter, LogLines

TICK_S: Final = 0.25
MEMORY_EVERY_S: Final = 1.0
DISK_EVERY_S: Final = 2.0
READ_BYTES: Final = 256 * 1024
PIPE_BYTES: Final = 1024 * 1024
"""What the system lets an ordinary user's pipe hold."""
GATHER_S: Final = 0.05
"""After a read, output gathers in the pipe for so long: a job that prints a line at a time does not wake us a thousand
times a second, which would cost the machine more than the printing.
"""
DRAIN_S: Final = 2.0
_FULL: Final = 0.9


class Cause(StrEnum):
    """Why a process ended."""

    EXIT = "exit"
    STOP = "stop"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    DISK_LIMIT = "disk_limit"
    LOST = "lost"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True)
class Limits:
    """What a process may use, and how long it has to end after being asked to.

    Args:
        disk_bytes: How much may be in `folders` together; 0 for no limit.
    """

    max_runtime_s: float
    memory_bytes: int
    grace_s: float = 30.0
    shutdown_grace_s: float = 5.0
    disk_bytes: int = 0
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ending:
    """How a process ended: `returncode` is minus the signal's number for a process ended by one."""

    returncode: int
    cause: Cause
    peak_memory_bytes: int
    runtime_s: float
    kernel_out_of_memory: bool = False


class Sink(Protocol):
    """Takes what the process prints."""

    @property
    def full(self) -> bool:
        """While true, nothing more is read, so that the process waits and memory stays bounded."""

    def write(self, lines: LogLines) -> None: ...


class Orders(Protocol):
    """What the outside wants of the process."""

    def order(self) -> Cause | None:
        """STOP, LOST or SHUTDOWN; None to go on."""


def job_follow(*, process: JobProcess, sink: Sink, orders: Orders, limits: Limits) -> Ending:
    """Returns when the process and everything it started have ended and all output was handed to `sink`.

    Raises:
        Exception: What `sink`, `orders` or the system raised; everything has ended then too.
    """
    following = _Following(process, sink, orders, limits)
    try:
        return following.run()
    except BaseException:
        process.kill()
        process.abandon()
        raise
    finally:
        following.close()


class _Following:
    def __init__(self, process: JobProcess, sink: Sink, orders: Orders, limits: Limits) -> None:
        self._process = process
        self._sink = sink
        self._orders = orders
        self._limits = limits
        self._splitter = LineSplitter()
        self._begun = time.monotonic()
        self._cause = Cause.EXIT
        self._kill_at: float | None = None
        self._memory_at = self._begun
        self._disk = DiskUse(limits.folders, every_s=DISK_EVERY_S, now=self._begun)
        self._peak = 0
        self._kernel_out_of_memory = False
        self._open = True
        self._read_at = self._begun

    def run(self) -> Ending:
        kills_before = _kernel_kills()
        os.set_blocking(self._process.output.fileno(), False)
        with contextlib.suppress(OSError):  # as much as it is by default will do
            fcntl.fcntl(self._process.output.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        with selectors.DefaultSelector() as selector, _exit_signal(self._process.pid) as exit_fd:
            if exit_fd is not None:
                selector.register(exit_fd, selectors.EVENT_READ)
            while not self._process.exited():
                self._wait(selector)
                self._check()
        runtime_s = time.monotonic() - self._begun
        self._process.kill()
        if not self._process.counts_memory:
            self._kernel_out_of_memory = _kernel_kills() > kills_before
        returncode = self._reap()
        self._drain()
        return Ending(
            returncode=returncode,
            cause=self._cause,
            peak_memory_bytes=self._peak,
            runtime_s=runtime_s,
            kernel_out_of_memory=self._kernel_out_of_memory,
        )

    def close(self) -> None:
        self._disk.close()

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Waits for output or the end; a full sink leaves the output unread for a tick."""
        output = self._process.output.fileno()
        listening = output in selector.get_map()
        gather_s = self._read_at - time.monotonic()
        wanted = self._open and gather_s <= 0 and not self._sink.full
        if wanted and not listening:
            selector.register(output, selectors.EVENT_READ)
        elif listening and not wanted:
            selector.unregister(output)
        for key, _ in selector.select(gather_s if gather_s > 0 else TICK_S):
            if key.fd == output:
                self._read()

    def _read(self) -> bool:
        """Hands on what can be read now; False when there is nothing (more)."""
        try:
            data = os.read(self._process.output.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._open = False
            return False
        lines = self._splitter.feed(data, _now_ms())
        if lines:
            self._sink.write(lines)
        if len(data) < READ_BYTES:
            self._read_at = time.monotonic() + GATHER_S
        return True

    def _check(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._process.kill()
            elif self._orders.order() is Cause.LOST:
                self._end(Cause.LOST, grace_s=0)
            return
        order = self._orders.order()
        if order is not None:
            self._end(order, grace_s=self._grace_s(order))
        elif now - self._begun > self._limits.max_runtime_s:
            self._end(Cause.TIME_LIMIT, grace_s=self._limits.grace_s)
        elif now >= self._memory_at:
            self._memory_check(now)
        elif self._limits.disk_bytes and (self._disk.look(now) or 0) > self._limits.disk_bytes:
            self._end(Cause.DISK_LIMIT, grace_s=0)

    def _grace_s(self, order: Cause) -> float:
        graces = {Cause.STOP: self._limits.grace_s, Cause.SHUTDOWN: self._limits.shutdown_grace_s}
        return graces.get(order, 0)

    def _memory_check(self, now: float) -> None:
        self._memory_at = now + MEMORY_EVERY_S
        used = self._process.memory_bytes(exact_above=self._limits.memory_bytes)
        self._peak = max(self._peak, used)
        if used > self._limits.memory_bytes or self._process.memory_kills():
            self._end(Cause.MEMORY_LIMIT, grace_s=0)

    def _reap(self) -> int:
        """The exit status. What the kernel ended because the job's control group was full was out of memory."""
        kills, used = self._process.memory_kills(), self._process.peak_memory_bytes()
        returncode = self._process.reap()
        if kills:
            self._peak = max(self._peak, used)
            self._kernel_out_of_memory = True
        if kills and returncode != 0 and self._cause is Cause.EXIT and self._was_full(used):
            self._cause = Cause.MEMORY_LIMIT
        return returncode

    def _was_full(self, used: int) -> bool:
        """Else it was the machine that had no memory left."""
        return used >= _FULL * self._limits.memory_bytes

    def _end(self, cause: Cause, *, grace_s: float) -> None:
        if self._process.exited():
            return
        self._cause = cause
        self._kill_at = time.monotonic() + grace_s
        if grace_s > 0:
            self._process.terminate()
        else:
            self._process.kill()

    def _drain(self) -> None:
        """Reads what is left in the pipe; a straggler that holds it open cannot keep us."""
        deadline = time.monotonic() + DRAIN_S
        while self._open and time.monotonic() < deadline:
            if not self._read() and self._open:
                break
        last = self._splitter.end(_now_ms())
        if last:
            self._sink.write(last)
        self._process.output.close()


@contextlib.contextmanager
def _exit_signal(pid: int):  # type: ignore[no-untyped-def]
    """A descriptor that becomes readable when the process ends; None where the kernel has none."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _kernel_kills() -> int:
    """How many processes the kernel has ended for want of memory since the machine started."""
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
