"""The process of an evaluation: what it prints, and that it ends when it is to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from endpoints.evaluation import process
from endpoints.evaluation.process import run_lines
from endpoints.evaluation.spec import EvaluationSpec
from tests.endpoints.evaluation.conftest import Serve
from tests.endpoints.evaluation.test_evaluate import Clouds
from tests.polling import wait_until
from tests.sandboxes import either_way

__all__ = ["either_way"]

SpecFor = Callable[..., EvaluationSpec]


def _lines(spec: EvaluationSpec, **options: Any) -> Iterator[dict[str, Any]]:
    return run_lines(spec, Path(spec.result).parent, **{"time_limit_s": 60, **options})


def _running(spec: EvaluationSpec) -> bool:
    """Whether a process of this run is left anywhere."""
    folder = str(Path(spec.result).parent)
    for found in psutil.process_iter(["cmdline", "status"]):
        words = found.info["cmdline"] or []
        if f"{folder}/spec.json" in words and found.info["status"] != psutil.STATUS_ZOMBIE:
            return True
    return False


def _quick(serve: Serve, spec_for: SpecFor) -> EvaluationSpec:
    clouds = Clouds()
    serve(**clouds.train)
    return spec_for(clouds.table())


def _slow(serve: Serve, spec_for: SpecFor) -> EvaluationSpec:
    """Each call takes a fifth of a second, and there are thousands."""
    clouds = Clouds()
    serve(**clouds.train, pause_s=0.2)
    return spec_for(clouds.table(), single_requests=5000)


def test_an_evaluation_prints_progress_summary_and_result(
    either_way: str, serve: Serve, spec_for: SpecFor
) -> None:
    spec = _quick(serve, spec_for)
    *lines, end = _lines(spec)
    assert end == {"stderr": "", "stopped": False, "over_time": False}
    assert lines[0]["progress"]["stage"] == "quality"
    assert lines[-1]["summary"]["n_rows"] == 60
    assert lines[-1]["result"]["quality"]["k"][-1] == lines[-1]["summary"]["k"]
    assert Path(spec.result).read_bytes().startswith(b"MLPEVAL1")


def test_a_failure_is_printed_as_words(either_way: str, serve: Serve, spec_for: SpecFor) -> None:
    clouds = Clouds()
    serve(**clouds.train)
    *_progress, failed, _end = _lines(spec_for(clouds.table(), k_max=50))
    assert failed["failure"]["params"]["k_max"] == 50


def test_it_ends_within_a_second_when_it_is_stopped(either_way: str, serve: Serve, spec_for: SpecFor) -> None:
    spec = _slow(serve, spec_for)
    heard_at: list[float] = []
    said: dict[str, Any] = {}
    for line in _lines(spec, stopped=lambda: bool(heard_at)):
        said |= line
        heard_at.append(time.monotonic())
    assert (
        time.monotonic() - heard_at[0] < 3
    )  # half a second until it is asked, one to end, and a slow machine
    assert (said["stopped"], said["over_time"]) == (True, False)
    assert "summary" not in said
    wait_until(lambda: not _running(spec), what="the end of the process")


def test_it_ends_when_nobody_listens_any_more(either_way: str, serve: Serve, spec_for: SpecFor) -> None:
    spec = _slow(serve, spec_for)
    lines = _lines(spec)
    assert "progress" in next(lines)
    assert _running(spec)
    lines.close()  # type: ignore[attr-defined]
    wait_until(lambda: not _running(spec), timeout_s=5, what="the end of the process")


def test_it_ends_when_its_time_is_over(serve: Serve, spec_for: SpecFor) -> None:
    *_lines_before, end = _lines(_slow(serve, spec_for), time_limit_s=2)
    assert (end["stopped"], end["over_time"]) == (False, True)


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "_GRACE_S", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        process._end(deaf)
        assert deaf.returncode == -signal.SIGKILL


def test_what_is_no_json_object_is_passed_over() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdout:
        with os.fdopen(writing, "wb") as printed:
            printed.write(
                b'{"n_done": 1}\nTraceback\n[1]\n\xff\n{"a": ' + b"[" * 2000 + b'\n{"n_done": 2}\n{"n_'
            )
        ending = process._Ending(lambda: False, 60)
        assert list(process._said(stdout, ending)) == [{"n_done": 1}, {"n_done": 2}]
