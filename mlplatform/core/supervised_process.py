"""One run of a process that the supervisor started: its output, its end, its group. Django-free."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlplatform.core.process_log import LineSplitter, ProcessLog

_SHIM = Path(__file__).with_name("exec_shim.py")
_LAST_OUTPUT_S = 0.5


@dataclass(frozen=True)
class ProcessSpec:
    """A process to start.

    Args:
        name: What it is called in the log.
        argv: Program and arguments.
        env: Variables added to the supervisor's own.
        colour: SGR code of its name in the log.
        is_ready: Asked every 50 ms after the start until it says yes; None is ready at once.
        ready_timeout_s: How long that may take.
        restarts: Whether it is started again when it ends; otherwise its end is the normal thing.
        is_essential: Whether everything is ended when it keeps failing; if not, it is started again for ever.
        grace_s: Time from SIGTERM to SIGKILL.
        on_line: Sees each line first; a line for which it says True does not appear in the log.
        on_end: Called after its last line; not used for processes that are started again.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    colour: str = ""
    is_ready: Callable[[], bool] | None = None
    ready_timeout_s: float = 60.0
    restarts: bool = True
    is_essential: bool = True
    grace_s: float = 10.0
    on_line: Callable[[str], bool] | None = None
    on_end: Callable[[], None] | None = None


class SupervisedProcess:
    """A started process, the leader of a session and group of its own. Make it with `process_start`."""

    def __init__(self, spec: ProcessSpec, popen: subprocess.Popen[bytes], log: ProcessLog) -> None:
        self.spec = spec
        self.pid = popen.pid
        self.started_at = asyncio.get_running_loop().time()
        self.code: int | None = None
        self._popen = popen
        self._log = log
        self._ended = asyncio.Event()
        self._output = _Output(self._on_line)
        self._finishing: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Connects the output to the log."""
        assert self._popen.stdout is not None
        await asyncio.get_running_loop().connect_read_pipe(lambda: self._output, self._popen.stdout)

    async def wait(self) -> int:
        """Waits for the end and the last output; the exit code, negative for a signal."""
        await self._ended.wait()
        assert self.code is not None
        return self.code

    async def end(self) -> None:
        """SIGTERM to the group; SIGKILL when the grace is over."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), self.spec.grace_s)
            return
        self._log.notice(f"{self.spec.name} did not end within {self.spec.grace_s:g} s: killing it")
        self.kill()
        await self.wait()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        self._signal(signal.SIGKILL)

    def reap(self) -> None:
        """Collects the ended process, till now a zombie whose number names no other group: that goes too."""
        self.kill()
        self.code = self._popen.wait()
        self._finishing = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._output.closed.wait(), _LAST_OUTPUT_S)
        if self.spec.on_end is not None:
            self.spec.on_end()
        self._ended.set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _on_line(self, text: str) -> None:
        if self.spec.on_line is None or not self.spec.on_line(text):
            self._log.line(self.spec.name, text, colour=self.spec.colour)


def process_start(spec: ProcessSpec, *, log: ProcessLog, cwd: Path | None) -> SupervisedProcess:
    """Starts it through the shim, on the main thread, within a running event loop; `listen` comes next."""
    popen = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_SHIM), str(os.getpid()), *spec.argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **spec.env},
    )
    return SupervisedProcess(spec, popen, log)


def ending_text(code: int) -> str:
    """How a process ended, in words that follow its name."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


class _Output(asyncio.Protocol):
    """The reading end of a process' output."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._splitter = LineSplitter(on_line)
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._splitter.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._splitter.flush()
        self.closed.set()
