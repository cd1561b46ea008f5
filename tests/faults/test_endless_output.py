"""Output without end: a gigabyte of log lines and a line of a gigabyte, from real job processes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from jobs.services.worker_state import WorkerState
from mlplatform.core.log_lines import LINE_LIMIT_BYTES
from mlplatform.core.logs import log_lines, log_tail
from mlplatform.core.models import LogChunk, LogStream
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.conftest import threads_cast, worker
from tests.jobs.training.scripts import MODEL, run

__all__ = ["threads_cast", "worker"]
pytestmark = pytest.mark.slow

GIB = 1024**3
MIB = 1024**2


class MemoryWatch(threading.Thread):
    """The most memory that this process has had since it was started, above what it had then."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._peak = self._before
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def grown_bytes(self) -> int:
        self._ended.set()
        self.join()
        return self._peak - self._before


def test_a_gigabyte_of_log_is_capped_with_a_notice_and_its_metrics_are_read_to_the_end(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: object
) -> None:
    settings.MLPLATFORM_LOG_LIMIT_BYTES = 32 * MIB  # type: ignore[attr-defined]
    definitions = [{"name": "n", "regex": r"^n=(\d+)$"}]
    job = job_make(threads_cast.alice, "endless", metric_definitions=definitions)
    watch = MemoryWatch()
    script = f"""
    import sys
    lines = ("x" * 1023 + "\\n") * 1024
    for n in range({GIB // MIB}):
        sys.stdout.write(lines)
    print("n=7")
    {MODEL}
    """
    run(job, worker, tmp_path, script)
    assert job.status == "Completed", job.failure
    stream = LogStream.objects.get(pk=job.log_id)
    assert stream.truncated and stream.ended
    assert 32 * MIB - 2048 <= stream.n_bytes < 32 * MIB + 2048
    *_, notice, closing = log_tail(stream=stream, n_lines=2).text.splitlines()
    assert "reached its limit of 33,554,432 bytes" in notice
    left_out = GIB // 1024 + 1 - 32 * MIB // 1024
    assert closing == f"[{left_out:,} lines were left out above: log limit]"
    assert job.final_metrics == {"n": 7.0}
    assert watch.grown_bytes() < 200 * MIB


def test_a_line_of_a_gigabyte_is_cut_with_a_notice(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "one-line")
    watch = MemoryWatch()
    begun = time.monotonic()
    script = f"""
    import sys
    piece = "y" * {MIB}
    for n in range({GIB // MIB}):
        sys.stdout.write(piece)
    print()
    print("the next line")
    {MODEL}
    """
    run(job, worker, tmp_path, script)
    assert job.status == "Completed", job.failure
    stream = LogStream.objects.get(pk=job.log_id)
    cut, following = log_lines(stream=stream, first_line=1, n_lines=10).text.splitlines()
    assert cut.startswith("y" * LINE_LIMIT_BYTES)
    assert cut.endswith(f" [line cut here: {GIB - LINE_LIMIT_BYTES:,} more bytes left out]")
    assert following == "the next line"
    assert (
        sum(LogChunk.objects.filter(stream=stream).values_list("n_bytes", flat=True)) < 2 * LINE_LIMIT_BYTES
    )
    assert watch.grown_bytes() < 200 * MIB
    assert time.monotonic() - begun < 300
