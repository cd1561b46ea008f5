"""One model server process, seen from its host: unpack the model, start, ping, follow the output, end. Django-free.

The host's loop (`reconciler.py`) calls these methods on its main thread; what can take long (unpacking, pings, reading
output) runs on threads of its own. No rows are written here and nothing is decided: that is `replica_plan.py`.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from endpoints.model_code import served_lay_out
from endpoints.model_files import ModelUnavailable
from endpoints.replica_output import ReplicaOutput
from endpoints.replica_plan import Phase, ServerView
from endpoints.server_spec import OWN_PYTHON, ServerSpec
from endpoints.unix_http import unix_call
from jobs.runner.control_groups import control_group_make
from jobs.runner.enclosed import EnclosedProcess, SandboxFailed
from jobs.runner.sandbox import hand_over
from jobs.runner.spec import PARENT_AT_STDIN
from mlplatform.core.storage.store import ObjectStore
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

PING_EVERY_S = 2.0
PING_TIMEOUT_S = 3.0
PING_AGAIN_S = 0.5
"""After a ping that was missed: with `MISSED_PINGS_MAX` of them a server that hangs is ended within 13 s."""
LOADING_LOOK_S = 0.25
"""So long at a time somebody looks out for the first answer of a server that loads, and tells of it at once."""
_LOOK_EVERY_S = 0.005
MEMORY_EVERY_S = 1.0
GRACE_S = 65
"""Longer than a request may take: whoever is asked to end answers what it has begun."""
GROUP_PREFIX = "replica-"
KILLED_WITHIN_S = 2.0


class ServerThreads:
    """What takes long runs here, for all replicas of a host: unpacking must not hold pings back."""

    def __init__(self) -> None:
        self.unpacking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="unpacking")
        self.installing = ThreadPoolExecutor(max_workers=4, thread_name_prefix="installing")
        self.closing = threading.Event()
        self.pings = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ping")
        self.starts = ThreadPoolExecutor(max_workers=8, thread_name_prefix="start")

    def close(self) -> None:
        self.closing.set()
        for pool in (self.unpacking, self.installing, self.pings, self.starts):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class ServerEnd:
    """How a start ended. `returncode` is minus the signal's number; None when no process was started."""

    reason: str
    returncode: int | None = None
    explained: bool = False
    """Trying again would end the same way: the process, or we, said what is wrong."""
    silent_s: float = 0.0
    """For so long it had answered no ping before it was ended: then it hung."""


class ModelServer:
    """A replica's process through one start, from unpacking to its end."""

    def __init__(
        self, spec: ServerSpec, output: ReplicaOutput, *, threads: ServerThreads, n_failures: int = 0
    ) -> None:
        self.spec = spec
        self.output = output
        self.n_failures = n_failures
        self.end: ServerEnd | None = None
        self.was_ready = False
        self.memory_bytes = 0
        self._threads = threads
        self._phase = Phase.PREPARING
        self._phase_at = time.monotonic()
        self._preparing: Future[Path] | None = None
        self._given_up = threading.Event()
        self._process: EnclosedProcess | None = None
        self._ping: Future[bool] | None = None
        self._ping_at = 0.0
        self._answers = False
        self._answered_at = 0.0
        self._missed_pings = 0
        self._memory_at = 0.0
        self._killed_because = ""
        self._wake: Callable[[], None] = _nothing

    # ---- steps

    def prepare(self, store: ObjectStore, *, wake: Callable[[], None]) -> None:
        """Begins to lay the model out in the replica's folder, on another thread."""
        spec = self.spec
        # What a script asks for may take minutes to install: it must not hold other models back.
        pool = self._threads.unpacking if spec.code is None else self._threads.installing
        self._preparing = pool.submit(
            served_lay_out,
            artifact_uri=spec.artifact_uri,
            sha256=spec.artifact_sha256,
            code=spec.code,
            folder=spec.folder,
            store=store,
            say=self.output.note,
            cancelled=lambda: self._given_up.is_set() or self._threads.closing.is_set(),
        )
        self._preparing.add_done_callback(lambda _: wake())

    def give_up(self) -> None:
        """Nobody needs what is being prepared: an installation ends at once."""
        self._given_up.set()

    def spawn(self, *, wake: Callable[[], None]) -> int:
        """Starts the process and answers its id. To be called on the main thread, which lives as long as the host."""
        spec = self.spec
        self._wake = wake
        python = self._preparing.result() if self._preparing is not None else OWN_PYTHON
        sandbox = spec.sandbox(python)
        for folder in (spec.socket.parent, spec.temporary_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec.socket.unlink(missing_ok=True)
        for folder in (spec.socket.parent, spec.folder):
            hand_over(folder, sandbox.own_user)
        self._process = EnclosedProcess(
            spec.argv(
                sandbox=sandbox,
                parent_pid=PARENT_AT_STDIN if sandbox.enclosed else os.getpid(),
                grace_s=GRACE_S,
                python=python,
            ),
            sandbox=sandbox,
            environment=spec.process_environment(sandbox),
            group=control_group_make(f"{GROUP_PREFIX}{spec.uid}", spec.group_limits),
        )
        self.output.follow(self._process.output, at_end=wake)
        self._enter(Phase.LOADING)
        return self._process.main_pid

    def ready(self) -> None:
        self.was_ready = True
        self._memory_at = 0.0
        self._enter(Phase.READY)
        self._ping_at = time.monotonic() + PING_EVERY_S

    def terminate(self) -> None:
        """Asks the server to answer what has begun and end."""
        self._signal(signal.SIGTERM)
        self._enter(Phase.STOPPING)

    def kill(self, because: str) -> None:
        """Ends the process and all of its session at once."""
        self._killed_because = because
        self._signal(signal.SIGKILL)
        self._enter(Phase.STOPPING)

    def destroy(self) -> None:
        """Kills the process, if there is one, and waits for its end: nobody will look at this start again."""
        self._signal(signal.SIGKILL)
        if self._process is not None and self._process.exits_within(KILLED_WITHIN_S):
            with contextlib.suppress(SandboxFailed):
                self._process.reap()

    def clear(self) -> None:
        """Removes the replica's folder and socket. Call when it has no process."""
        for folder in (self.spec.socket.parent, self.spec.folder):
            shutil.rmtree(folder, ignore_errors=True)

    # ---- observation

    def view(self) -> ServerView:
        """What has become of the process by now. Begins a ping when one is due."""
        self._observe()
        return ServerView(
            phase=self._phase,
            in_phase_s=time.monotonic() - self._phase_at,
            answers=self._answers,
            missed_pings=self._missed_pings,
            over_memory=self.memory_bytes > self.spec.memory_limit_bytes,
            was_ready=self.was_ready,
            broken=self.end is not None and self.end.explained,
            n_failures=self.n_failures,
        )

    @property
    def has_process(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def next_ping_s(self) -> float:
        """Seconds until the next ping is due; infinite while one is under way or none is to be sent."""
        if self._phase not in {Phase.LOADING, Phase.READY} or self._ping is not None:
            return math.inf
        return max(0.0, self._ping_at - time.monotonic())

    def _observe(self) -> None:
        if self._phase == Phase.PREPARING:
            self._observe_preparing()
        elif self._phase in {Phase.LOADING, Phase.READY, Phase.STOPPING}:
            assert self._process is not None
            if self._process.exited():
                self._ended(self._process)
            elif self._phase != Phase.STOPPING:
                self._observe_pings()
                self._observe_memory()

    def _observe_preparing(self) -> None:
        if self._preparing is None or not self._preparing.done():
            return
        error = self._preparing.exception()
        if error is None:
            self._enter(Phase.PREPARED)
            return
        known = isinstance(error, ModelUnavailable)
        words = _("The model could not be laid out: {error}", error=f"{type(error).__name__}: {error}")
        said = text_of(error) if known else words
        self.end = ServerEnd(said, explained=True)
        self._enter(Phase.ENDED)

    def _observe_pings(self) -> None:
        now = time.monotonic()
        if self._ping is not None and self._ping.done():
            answered = self._ping.result()
            self._ping = None
            self._answers = self._answers or answered
            self._missed_pings = 0 if answered else self._missed_pings + 1
            self._answered_at = now if answered else self._answered_at
            self._ping_at = now + self._ping_pause_s(answered)
        if self._ping is not None or now < self._ping_at:
            return
        if not self._answers:
            self._ping = self._threads.starts.submit(_answers_soon, self.spec.socket)
            self._ping.add_done_callback(lambda _: self._wake())
        elif self.spec.socket.exists():
            self._ping = self._threads.pings.submit(_answers_ping, self.spec.socket)
            self._ping.add_done_callback(self._tell_missed)

    def _tell_missed(self, ping: Future[bool]) -> None:
        """An answer may be looked at whenever somebody looks; that there is none must be known at once."""
        if ping.cancelled() or ping.exception() is not None or not ping.result():
            self._wake()

    def _ping_pause_s(self, answered: bool) -> float:
        if answered:
            return PING_EVERY_S
        return PING_AGAIN_S if self._answers else 0.0

    def _observe_memory(self) -> None:
        now = time.monotonic()
        if now >= self._memory_at and self._process is not None:
            self._memory_at = now + MEMORY_EVERY_S
            with contextlib.suppress(psutil.Error):
                self.memory_bytes = int(psutil.Process(self._process.main_pid).memory_info().rss)

    def _ended(self, process: EnclosedProcess) -> None:
        self._signal(signal.SIGKILL)
        no_memory = process.memory_kills() > 0
        try:
            returncode, broken = process.reap(), ""
        except SandboxFailed as error:
            returncode, broken = 1, str(error)
        self.output.join()
        said = broken or (no_memory and self._no_memory()) or _words(returncode, self.output.exception_line())
        reason = self._killed_because or said
        explained = (returncode > 0 and not broken) or bool(self._killed_because and not self.was_ready)
        silent_s = time.monotonic() - self._answered_at if self._missed_pings and self.was_ready else 0.0
        self.end = ServerEnd(reason, returncode, explained, silent_s)
        self._enter(Phase.ENDED)

    def _no_memory(self) -> str:
        n_mib = self.spec.memory_limit_bytes // 2**20
        return _(
            "OutOfMemory: the model server needed more than the {limit} MiB that it may have",
            limit=f"{n_mib:,}",
        )

    def _enter(self, phase: Phase) -> None:
        if phase != self._phase:
            self._phase = phase
            self._phase_at = time.monotonic()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.signal(number)


def leftovers_kill(*, socket_dir: Path, known_pids: frozenset[int] = frozenset()) -> int:
    """Ends model servers of `socket_dir` that no running host of ours started: left by a host that died.

    Returns how many there were. They are told by their own command line, or by that of their sandbox, which ends
    with all in it; so a reused process id is no danger.
    """
    n_killed = 0
    for process in psutil.process_iter(["pid", "cmdline"]):
        cmdline = process.info["cmdline"] or []
        ours = "endpoints.serving" in cmdline and any(socket_dir in Path(part).parents for part in cmdline)
        if ours and process.pid not in known_pids:
            with contextlib.suppress(psutil.Error):
                process.kill()
                n_killed += 1
    return n_killed


def _answers_ping(socket: Path) -> bool:
    try:
        return unix_call(str(socket), "GET", "/ping", timeout_s=PING_TIMEOUT_S).status == 200
    except (OSError, http.client.HTTPException):
        return False


def _answers_soon(socket: Path) -> bool:
    """Whether it answers now, or within a moment."""
    deadline = time.monotonic() + LOADING_LOOK_S
    while not socket.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY_S)
    return _answers_ping(socket)


def _nothing() -> None:
    """Nobody waits for a server that was not started."""


def _words(returncode: int, exception: str) -> str:
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return _("The model server was ended by {name}", name=name)
    if exception:
        return exception
    return _("The model server ended with exit code {code}", code=returncode)
