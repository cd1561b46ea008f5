"""Twenty writers on SQLite for a minute: nobody is told that the database is locked, and nobody starves."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.models import TrainingJob
from tests.databases import sqlite_only
from tests.faults.stage import assert_log_whole
from tests.jobs.training.cast import Cast, dataset_make
from tests.jobs.training.processes import python_running

FOR_S = 60
N_PROCESSES, N_THREADS = 4, 5


@sqlite_only
@pytest.mark.slow
def test_twenty_writers_for_a_minute_see_no_locked_database(
    threads_cast: Cast, tmp_path: Path, record_property: Any
) -> None:
    dataset_make(threads_cast.alice)
    logs = [tmp_path / f"writers-{n}.log" for n in range(N_PROCESSES)]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                python_running(
                    log,
                    "-m",
                    "tests.faults.writers",
                    str(FOR_S),
                    str(N_THREADS),
                    f"w{n}",
                    MLPLATFORM_FACES="0",
                )
            )
            for n, log in enumerate(logs)
        ]
        for popen, log in zip(running, logs, strict=True):
            assert popen.wait(FOR_S + 180) == 0, log.read_text()[-4000:]
    said = [_said(log) for log in logs]
    assert [error for each in said for error in each["errors"]] == []
    n_writes = [n for each in said for n in each["n_writes"]]
    assert len(n_writes) == N_PROCESSES * N_THREADS and min(n_writes) > 20, f"somebody starved: {n_writes}"
    took_ms = sorted(took for each in said for series in each["took_ms"].values() for took in series)
    figures = {
        "writes_per_s": round(sum(n_writes) / FOR_S, 1),
        "reads_per_s": round(sum(each["n_reads"] for each in said) / FOR_S, 1),
        "p50_ms": round(took_ms[len(took_ms) // 2], 1),
        "p99_ms": round(took_ms[len(took_ms) * 99 // 100], 1),
        "max_ms": round(took_ms[-1], 1),
    }
    record_property("writers", figures)
    print(f"twenty writers: {figures}")
    assert took_ms[-1] < 30_000, figures
    ended = TrainingJob.objects.filter(status="Failed").select_related("log")
    assert ended.count() == sum(each["n_ended"] for each in said)
    for job in ended.order_by("?")[:50]:
        assert_log_whole(job.log)


def _said(log: Path) -> dict[str, Any]:
    text = log.read_text()
    line = next(line for line in text.splitlines() if line.startswith("writers: "))
    assert "database is locked" not in text.replace(line, ""), text[-4000:]
    return dict(json.loads(line.removeprefix("writers: ")))
