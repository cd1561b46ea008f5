"""How long calls took: means and percentiles with intervals, rows per second, a histogram. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.intervals import OpenInterval, mean_interval, quantile_interval, widened
from endpoints.evaluation.scored import pair

PERCENTILES: Final = (50, 90, 99)
BATCHES_SHOWN: Final = 1_000
N_BINS: Final = 40


def latency_summary(
    *,
    batch_s: Sequence[float],
    batch_rows: Sequence[int],
    batch_numbers: Sequence[int],
    n_sent: int,
    single_s: Sequence[float],
) -> dict[str, Any]:
    """The member `latency` of an evaluation's result: milliseconds, None where nothing was timed.

    Args:
        batch_s: Of the timed calls with many rows, `batch_rows` each, in their order.
        batch_numbers: Which of all `n_sent` they are, from 1.
        single_s: Of the calls with one row.
    """
    batch_ms, single_ms = np.array(batch_s) * 1000, np.array(single_s) * 1000
    values, intervals = {}, {}
    for name, times in (("batch", batch_ms), ("single", single_ms)):
        for measure, (value, interval) in _measures(times).items():
            values[f"{name}_{measure}"] = value
            intervals[f"{name}_{measure}"] = pair(interval)
    total_s = float(np.sum(batch_s))
    shown = _shown(len(batch_ms))
    return {
        "batch_size": max(batch_rows, default=None),
        "n_batches": len(batch_ms),
        "n_batches_sent": n_sent,
        "n_single": len(single_ms),
        **values,
        "intervals": intervals,
        "rows_per_s": _short(sum(batch_rows) / total_s) if total_s else None,
        "batch_ms": [_short(batch_ms[place]) for place in shown],
        "batch_numbers": [batch_numbers[place] for place in shown],
        "single_histogram": _histogram(single_ms),
    }


def _measures(times: NDArray[np.float64]) -> dict[str, tuple[float | None, OpenInterval]]:
    names = [f"p{percentile}_ms" for percentile in PERCENTILES]
    if not len(times):
        return dict.fromkeys(["mean_ms", *names], (None, (None, None)))
    ordered = np.sort(times)
    mean, variance = float(times.mean()), float(times.var(ddof=1)) if len(times) > 1 else 0.0
    low, high = mean_interval(mean, variance, len(times))
    found: dict[str, tuple[float | None, OpenInterval]] = {
        "mean_ms": (_short(mean), (None if low is None else max(0.0, low), high))
    }
    for name, percentile in zip(names, PERCENTILES, strict=True):
        share = percentile / 100
        value = _short(float(np.quantile(ordered, share)))
        found[name] = value, widened(quantile_interval(ordered.tolist(), share), value)
    return found


def _shown(n: int) -> list[int]:
    """Positions of those that are kept, evenly spread."""
    places: list[int] = np.linspace(0, n - 1, min(n, BATCHES_SHOWN)).astype(int).tolist()
    return places


def _histogram(times: NDArray[np.float64]) -> dict[str, list[float]] | None:
    """Bins of equal ratio: a few calls that took long would leave the rest one bin."""
    if not len(times):
        return None
    low, high = float(times.min()), float(times.max())
    edges = np.geomspace(low, high, N_BINS + 1) if high > low > 0 else np.array([low, high or low + 1e-6])
    edges[0], edges[-1] = low, max(high, low * (1 + 1e-6))
    counts, _edges = np.histogram(times, edges)
    return {"edges_ms": [_short(edge) for edge in edges], "counts": counts.tolist()}


def _short(value: float) -> float:
    return float(f"{value:.6g}")
