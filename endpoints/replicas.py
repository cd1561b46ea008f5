"""One model server process, seen from its host: unpack the model, start, ping, follow the output, end. Django-free.

The host's loop (`reconciler.py`) calls these methods on its main thread; what can take long (unpacking, pings, reading
output) runs on threads of its own. No rows are written here and nothing is decided: that is `replica_plan.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from endpoints.replica_output import ReplicaOutput
from endpoints.replica_plan import Phase, ServerView
from endpoints.unix_http import unix_call
from mlplatform.core.archives import ArchiveError, archive_unpack
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import PlatformError
from mlplatform.core.store import ObjectStore

PING_EVERY_S = 3.0
PING_TIMEOUT_S = 5.0
LOADING_PING_EVERY_S = 0.05
MEMORY_EVERY_S = 5.0
GRACE_S = 30
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


class ModelUnavailable(Exception):
    """The model could not be laid out for its server; the message says why."""


@dataclass(frozen=True)
class ServerSpec:
    """All a model server needs to be told."""

    uid: str
    algorithm: str
    artifact_uri: str
    artifact_sha256: str
    n_threads: int
    memory_limit_bytes: int
    folder: Path
    socket: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_dir(self) -> Path:
        return self.folder / "model"


@dataclass(frozen=True)
class ServerEnd:
    """How a start ended. `returncode` is minus the signal's number; None when no process was started."""

    reason: str
    returncode: int | None = None
    explained: bool = False
    """Trying again would end the same way: the process, or we, said what is wrong."""


class ModelServer:
    """A replica's process through one start, from unpacking to its end."""

    def __init__(self, spec: ServerSpec, output: ReplicaOutput, *, executor: Executor, n_failures: int = 0) -> None:
        self.spec = spec
        self.output = output
        self.n_failures = n_failures
        self.end: ServerEnd | None = None
        self.was_ready = False
        self.memory_bytes = 0
        self._executor = executor
        self._phase = Phase.PREPARING
        self._phase_at = time.monotonic()
        self._preparing: Future[None] | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._ping: Future[bool] | None = None
        self._ping_at = 0.0
        self._answers = False
        self._missed_pings = 0
        self._memory_at = 0.0
        self._killed_because = ""

    # ---- steps

    def prepare(self, store: ObjectStore, *, wake: Callable[[], None]) -> None:
        """Begins to lay the model out in the replica's folder, on another thread."""
        self._preparing = self._executor.submit(model_lay_out, self.spec, store)
        self._preparing.add_done_callback(lambda _: wake())

    def spawn(self, *, wake: Callable[[], None]) -> int:
        """Starts the process and answers its id. To be called on the main thread, which lives as long as the host."""
        self.spec.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.spec.socket.unlink(missing_ok=True)
        self._popen = subprocess.Popen(
            self._argv(),
            cwd=self.spec.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        self.output.follow(self._popen.stdout, at_end=wake)
        self._enter(Phase.LOADING)
        return self._popen.pid

    def ready(self) -> None:
        self.was_ready = True
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

    def clear(self) -> None:
        """Removes the replica's folder and socket. Call when it has no process."""
        self.spec.socket.unlink(missing_ok=True)
        shutil.rmtree(self.spec.folder, ignore_errors=True)

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
        return self._popen is not None and self._popen.returncode is None

    def _observe(self) -> None:
        if self._phase == Phase.PREPARING:
            self._observe_preparing()
        elif self._phase in {Phase.LOADING, Phase.READY, Phase.STOPPING}:
            assert self._popen is not None
            returncode = self._popen.poll()
            if returncode is not None:
                self._ended(returncode)
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
        said = str(error) if known else f"The model could not be laid out: {type(error).__name__}: {error}"
        self.end = ServerEnd(said, explained=True)
        self._enter(Phase.ENDED)

    def _observe_pings(self) -> None:
        now = time.monotonic()
        if self._ping is not None and self._ping.done():
            answered = self._ping.result()
            self._ping = None
            self._answers = self._answers or answered
            self._missed_pings = 0 if answered else self._missed_pings + 1
            self._ping_at = now + (PING_EVERY_S if self._answers else LOADING_PING_EVERY_S)
        if self._ping is None and now >= self._ping_at and self.spec.socket.exists():
            self._ping = self._executor.submit(_answers_ping, self.spec.socket)

    def _observe_memory(self) -> None:
        now = time.monotonic()
        if now >= self._memory_at and self._popen is not None:
            self._memory_at = now + MEMORY_EVERY_S
            with contextlib.suppress(psutil.Error):
                self.memory_bytes = int(psutil.Process(self._popen.pid).memory_info().rss)

    def _ended(self, returncode: int) -> None:
        self._signal(signal.SIGKILL)
        self.output.join()
        reason = self._killed_because or _words(returncode, self.output.exception_line())
        explained = returncode > 0 or bool(self._killed_because and not self.was_ready)
        self.end = ServerEnd(reason, returncode, explained)
        self._enter(Phase.ENDED)

    def _enter(self, phase: Phase) -> None:
        if phase != self._phase:
            self._phase = phase
            self._phase_at = time.monotonic()

    def _signal(self, number: signal.Signals) -> None:
        if self._popen is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _argv(self) -> list[str]:
        options = {
            "--socket": str(self.spec.socket),
            "--model-dir": str(self.spec.model_dir),
            "--algorithm": self.spec.algorithm,
            "--threads": str(self.spec.n_threads),
            "--parent-pid": str(os.getpid()),
            "--grace-s": str(GRACE_S),
        }
        return [sys.executable, "-m", "endpoints.serving", *(part for pair in options.items() for part in pair)]

    def _environment(self) -> dict[str, str]:
        """Nothing of our own environment, which has secrets, and no imports from the folder the model lies in."""
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self.spec.n_threads))
        return {
            **self.spec.environment,
            **threads,
            "PATH": os.defpath,
            "HOME": str(self.spec.folder),
            "TMPDIR": str(self.spec.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(PROJECT_ROOT),
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
        }


def model_lay_out(spec: ServerSpec, store: ObjectStore) -> None:
    """Unpacks the model's artifact, whose digest must be the recorded one, into the replica's folder.

    Raises:
        ModelUnavailable: gone, another digest, or an archive that is not accepted.
        OSError: the disk.
    """
    shutil.rmtree(spec.folder, ignore_errors=True)
    spec.folder.mkdir(mode=0o700, parents=True)
    try:
        archive = store.local_path(spec.artifact_uri)
        if archive is None:
            archive = spec.folder / "model.tar.gz"
            store.download(spec.artifact_uri, archive)
        with archive.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != spec.artifact_sha256:
            raise ModelUnavailable(
                f"The artifact {spec.artifact_uri} has the digest {sha256}, recorded was {spec.artifact_sha256}"
            )
        archive_unpack(archive, spec.model_dir)
    except FileNotFoundError:
        raise ModelUnavailable(f"The artifact {spec.artifact_uri} is no longer there") from None
    except (PlatformError, ArchiveError) as error:
        raise ModelUnavailable(f"The artifact {spec.artifact_uri} cannot be used: {error}") from error


def leftovers_kill(*, socket_dir: Path, known_pids: frozenset[int] = frozenset()) -> int:
    """Ends model servers of `socket_dir` that no running host of ours started: left by a host that died.

    Returns how many there were. They are told by their own command line, so a reused process id is no danger.
    """
    n_killed = 0
    for process in psutil.process_iter(["pid", "cmdline"]):
        cmdline = process.info["cmdline"] or []
        ours = "endpoints.serving" in cmdline and any(Path(part).parent == socket_dir for part in cmdline)
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


def _words(returncode: int, exception: str) -> str:
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return f"The model server was ended by {name}"
    if exception:
        return exception
    return f"The model server ended with exit code {returncode}"
