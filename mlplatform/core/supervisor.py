"""Starts processes, keeps them running, merges their output, ends them all. Django-free; `startup` uses it.

Each process runs in a session of its own, so that a Ctrl-C reaches only the supervisor, which ends the
processes in order: the last stage first, SIGTERM, then SIGKILL of the whole group when the grace is over. If
the supervisor itself is killed, the kernel kills them (`exec_shim`). It is the reaper of its descendants, so
it also finds what they left.

All of it happens on the main thread: the kernel ties the parent-death signal to the thread that started a
process. It must not start children by other means, for the supervisor collects every child that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlplatform.core.process_log import ProcessLog
from mlplatform.core.supervised_process import ProcessSpec, SupervisedProcess, ending_text, process_start

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.05
_LEFTOVER_GRACE_S = 3.0


@dataclass(frozen=True)
class RestartPolicy:
    """A process that ends is started again after `first_delay_s`, each time doubled up to `max_delay_s`.

    An essential one is given up, and everything with it, after `max_failures` ends in a row, none of which came after
    `stable_s` of running. Others are tried for ever: what they need (the database, room on the disk) may come back.
    """

    first_delay_s: float = 0.5
    max_delay_s: float = 15.0
    max_failures: int = 6
    stable_s: float = 30.0

    def delay_s(self, n_failures: int) -> float:
        """The pause after so many failures in a row, from 1."""
        return min(self.first_delay_s * 2.0 ** (n_failures - 1), self.max_delay_s)


class ProcessFailed(Exception):
    """A process did not start, or kept ending; the message says which and how it ended."""


class Supervisor:
    """Use as `async with`: leaving the block ends everything that was started, whatever the reason.

    SIGINT, SIGTERM and SIGHUP leave the block; a second one kills everything at once.
    """

    def __init__(
        self, log: ProcessLog, *, policy: RestartPolicy = RestartPolicy(), cwd: Path | None = None
    ) -> None:
        self._log = log
        self._policy = policy
        self._cwd = cwd
        self._running: dict[int, SupervisedProcess] = {}
        self._stages: list[list[str]] = []
        self._keepers: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None]
        self._main: asyncio.Task[Any] | None = None
        self._is_stopping = False
        self._is_killing = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._failure = loop.create_future()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        self._log.on_closed = self._asked_to_stop
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        was_asked = self._is_stopping
        self._is_stopping = True
        if was_asked and self._main is not None:
            self._main.uncancel()
        await self._stop()
        return was_asked and kind is asyncio.CancelledError

    async def start(self, *specs: ProcessSpec) -> None:
        """Starts the processes side by side as one stage and returns when all are ready.

        Raises:
            ProcessFailed: One ended, or was not ready in time.
        """
        self._stages.append([spec.name for spec in specs])
        started = [await self._spawn(spec) for spec in specs]
        await asyncio.gather(*(self._until_ready(process) for process in started))
        for process in started:
            keeper = asyncio.create_task(self._keep(process))
            self._keepers.add(keeper)
            keeper.add_done_callback(self._keepers.discard)

    async def run(self, spec: ProcessSpec) -> None:
        """Runs the process to its end.

        Raises:
            ProcessFailed: It ended with another code than 0.
        """
        self._stages.append([spec.name])
        code = await (await self._spawn(spec)).wait()
        if code != 0:
            raise ProcessFailed(f"{spec.name} {ending_text(code)}; its output is above")

    async def wait(self) -> None:
        """Waits until the platform is asked to stop or an essential process is given up.

        Raises:
            ProcessFailed: It was given up.
        """
        await self._failure

    async def _spawn(self, spec: ProcessSpec) -> SupervisedProcess:
        process = process_start(spec, log=self._log, cwd=self._cwd)
        self._running[process.pid] = process
        await process.listen()
        return process

    async def _until_ready(self, process: SupervisedProcess) -> None:
        spec, now = process.spec, asyncio.get_running_loop().time
        while spec.is_ready is not None and not spec.is_ready():
            if process.code is not None:
                ending = ending_text(await process.wait())
                raise ProcessFailed(f"{spec.name} {ending} while starting; its output is above")
            if now() > process.started_at + spec.ready_timeout_s:
                raise ProcessFailed(f"{spec.name} was not ready within {spec.ready_timeout_s:g} s")
            await asyncio.sleep(_POLL_S)

    async def _keep(self, process: SupervisedProcess) -> None:
        """Waits for the end of the process and starts it again, until the policy gives up."""
        spec, n_failures = process.spec, 0
        while True:
            code = await process.wait()
            if not spec.restarts:
                if code != 0:
                    self._log.notice(f"{spec.name} {ending_text(code)}")
                return
            is_stable = asyncio.get_running_loop().time() - process.started_at >= self._policy.stable_s
            n_failures = 1 if is_stable else n_failures + 1
            if n_failures >= self._policy.max_failures and spec.is_essential:
                self._give_up(f"{spec.name} {ending_text(code)}, {n_failures} times in a row")
                return
            delay_s = self._policy.delay_s(n_failures)
            self._log.notice(f"{spec.name} {ending_text(code)}; starting it again in {delay_s:g} s")
            await asyncio.sleep(delay_s)
            process = await self._spawn(spec)

    def _give_up(self, what: str) -> None:
        if not self._failure.done():
            self._failure.set_exception(
                ProcessFailed(f"{what}, and is not started again; its output is above")
            )

    def _asked_to_stop(self) -> None:
        if self._is_stopping:
            self._is_killing = True
            self._log.notice("killing everything")
            for process in self._running.values():
                process.kill()
            return
        self._is_stopping = True
        self._log.notice("stopping (once more kills everything at once)")
        if self._main is not None:
            self._main.cancel()

    async def _stop(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        for stage in reversed(self._stages):
            ending = [process for process in self._running.values() if process.spec.name in stage]
            await asyncio.gather(*(process.end() for process in ending))
        await self._end_leftovers()

    async def _end_leftovers(self) -> None:
        """Descendants without parents, in sessions of their own: they end by themselves soon, or here."""
        import psutil  # only needed here, and not small

        me, now = psutil.Process(), asyncio.get_running_loop().time
        deadline = now() + (0 if self._is_killing else _LEFTOVER_GRACE_S)
        while (left := me.children(recursive=True)) and now() < deadline:
            await asyncio.sleep(_POLL_S)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                self._log.notice(f"killed process {process.pid}, which was left over")
        while me.children() and now() < deadline + _LEFTOVER_GRACE_S:
            await asyncio.sleep(_POLL_S)

    def _reap(self) -> None:
        """Collects every child that ended: ours, and those of our descendants that came to us."""
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                process = self._running.pop(ended.si_pid, None)
                if process is None:
                    os.waitpid(ended.si_pid, os.WNOHANG)
                else:
                    process.reap()
