"""Metrics of training jobs and the lines of a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.seeds.rows import Rows, as_json, rows
from benchmarks.seeds.sizes import Sizes

_POINTS: Final = [[1_780_000_000_000 + step, step, step / 7] for step in range(50)]


def seeds(sizes: Sizes) -> Iterator[Rows]:
    n = sizes.jobs
    n_with_points = max(1, n // 10)
    yield rows(
        "jobs.MetricSummary",
        4 * n,
        job_id="1 + (i - 1) / 4",
        name="'metric-' || i % 4",
        n_points="100",
        last="i % 100 / 100.0",
        minimum="0",
        maximum="1",
        last_at="now()",
    )
    yield rows(
        "jobs.MetricChunk",
        sizes.metric_chunks,
        job_id=f"1 + i % {n_with_points}",
        name="'metric-0'",
        first_step=f"50 * (i / {n_with_points})",
        points=as_json(_POINTS),
    )
    yield rows(
        "core.LogChunk",
        sizes.log_chunks,
        stream_id="1",
        offset="(i - 1) * 80000",
        n_bytes="80000",
        first_line="(i - 1) * 1000",
        n_lines="1000",
        line_times="decode(repeat('00000000', 1000), 'hex')",
        data="convert_to(repeat(rpad('epoch 12: loss=0.123456', 79, '.') || chr(10), 1000), 'UTF8')",
    )
