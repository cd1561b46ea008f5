"""Keeps a process `python -m jobs.tuning` and asks it: what to try next, whom to stop, what matters.

One per process that drives tuning jobs (a worker, the scheduler). The process is started when first needed, stays while
it is asked, ends by itself when it is not, and with who started it. What it has been told of a study is remembered
here, so that a suggestion costs only what is new; a process that died is told everything again. Django-free.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from mlplatform.core.env import PROJECT_ROOT

ANSWER_WITHIN_S: Final = 120.0
_PIECE_BYTES: Final = 65536
_SHIM: Final = PROJECT_ROOT / "mlplatform" / "core" / "exec_shim.py"
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class AskerFault(Exception):
    """The process could not be started, or died twice in turn: it may go better next time."""


class SamplerError(AskerFault):
    """Something broke in the sampler, and would again."""


@dataclass(frozen=True)
class Told:
    """A trial as it is told: see `jobs.tuning.studies.TrialTold`."""

    number: int
    state: str
    internal: Mapping[str, Any]
    value: float | None = None
    steps: Sequence[Sequence[float | None]] = ()


@dataclass(frozen=True)
class Suggested:
    parameters: dict[str, str]
    internal: dict[str, Any]


@dataclass
class History:
    """The trials there are: the state of each by its number, and how to get those of some numbers in full."""

    states: Mapping[int, str]
    load: Callable[[Sequence[int]], Iterable[Told]]


class Asker:
    """Answers from one process at a time; may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._told: dict[str, dict[int, str]] = {}

    def warm(self) -> None:
        """Starts the process, without waiting for it, if there is none."""
        with self._lock, contextlib.suppress(OSError):
            self._running()

    def suggest(self, *, study: str, spec: Mapping[str, Any], history: History, number: int) -> Suggested:
        """What trial `number` is to try, given all before it. Raises AskerFault."""
        answer = self._ask(study, spec, history, {"op": "suggest", "number": number})
        return Suggested(answer["parameters"], answer["internal"])

    def stops(
        self, *, study: str, spec: Mapping[str, Any], history: History, running: Sequence[Told]
    ) -> list[int]:
        """Those of the running trials, with their steps so far, that Hyperband stops. Raises AskerFault."""
        request = {"op": "stops", "running": [asdict(told) for told in running]}
        return list(self._ask(study, spec, history, request)["stops"])

    def importance(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Raises AskerFault."""
        with self._lock:
            return self._answered({"op": "importance", **request})

    def forget(self, *, study: str) -> None:
        """The last suggestion of the study was not used: it is told everything again when it is next asked."""
        with self._lock:
            self._told.pop(study, None)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(
        self, study: str, spec: Mapping[str, Any], history: History, request: dict[str, Any]
    ) -> dict[str, Any]:
        with self._lock:
            for _try in range(2):
                process = self._running()
                told = self._told.get(study)
                anew = told is None
                known = {} if told is None else told
                # What is asked for is news from us, and told by being suggested.
                news = [number for number, state in history.states.items() if known.get(number) != state]
                message = {
                    **request,
                    "study": study,
                    "spec": dict(spec) if anew else None,
                    "trials": [asdict(found) for found in history.load(news)] if news else [],
                }
                answer = self._answered(message)
                if answer.get("unknown") or process is not self._process:
                    self._told.pop(study, None)
                    continue
                self._told[study] = dict(history.states)
                if request["op"] == "suggest":
                    self._told[study][request["number"]] = "running"
                return answer
        raise AskerFault(f"the process knows nothing of study {study}, although it was told everything")

    def _answered(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; where the process died of nothing it is started once more, and then knows no study."""
        try:
            answer = self._running().ask(message)
        except (OSError, EOFError):
            self._end()
            if message.get("study") is not None:
                return {"unknown": True}
            try:
                answer = self._running().ask(message)
            except (OSError, EOFError) as error:
                self._end()
                raise AskerFault(f"the process died: {error}") from error
        if "error" in answer:
            self._told.pop(str(message.get("study")), None)
            raise SamplerError(answer["error"])
        return answer

    def _running(self) -> _Process:
        if self._process is not None and self._process.ended:
            self._end()
        if self._process is None:
            self._process = _Process()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        self._told.clear()
        if process is not None:
            process.end()


@dataclass
class _Process:
    """The process and its pipes; its first line says that Optuna is there."""

    _popen: subprocess.Popen[bytes] = field(init=False)
    _ready: bool = field(init=False, default=False)
    _unread: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # The kernel ends it with the thread that started it, which is why whoever drives does so on one thread.
        argv = [sys.executable, "-I", "-S", str(_SHIM), str(os.getpid()), sys.executable, "-m", "jobs.tuning"]
        self._popen = subprocess.Popen(
            argv,
            cwd=PROJECT_ROOT,
            env=passed | dict.fromkeys(_THREADS, "1") | {"PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Raises OSError or EOFError when it is gone, or does not answer in time."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(message).encode() + b"\n")
        self._popen.stdin.flush()
        if not self._ready:
            self._line()
            self._ready = True
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def end(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._popen.kill()
        self._popen.wait()

    def _line(self) -> bytes:
        """The next line. Several may come at once, such as the first of all and an answer: what follows is kept."""
        out = self._popen.stdout
        assert out is not None
        give_up_at = time.monotonic() + ANSWER_WITHIN_S
        while b"\n" not in self._unread:
            ready, _writing, _faults = select.select([out], [], [], max(0.0, give_up_at - time.monotonic()))
            piece = os.read(out.fileno(), _PIECE_BYTES) if ready else b""
            if not piece:
                raise EOFError("no answer")
            self._unread += piece
        line, _end, self._unread = self._unread.partition(b"\n")
        return line


_ASKER: Final = Asker()
atexit.register(_ASKER.close)


def asker_here() -> Asker:
    """The one of this process."""
    return _ASKER


def importance_ask(request: Mapping[str, Any]) -> dict[str, Any]:
    """Which hyperparameters matter; asked from pages, of a process that ends with the answer. Raises AskerFault."""
    asker = Asker()
    try:
        return asker.importance(request)
    finally:
        asker.close()
