"""Summaries of times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from endpoints.evaluation.latency import BATCHES_SHOWN, N_BINS, latency_summary


def summary(**given: Any) -> dict[str, Any]:
    """Of batches that are all timed, unless said otherwise."""
    n = len(given["batch_s"])
    return latency_summary(**({"batch_numbers": range(1, n + 1), "n_sent": n} | given))


def test_times_are_summed_up_in_milliseconds() -> None:
    single_s = np.random.default_rng(0).lognormal(-7, 0.3, 2000)
    found = summary(batch_s=[0.05, 0.07], batch_rows=[582, 581], single_s=single_s.tolist())
    assert (found["batch_size"], found["n_batches"], found["n_single"]) == (582, 2, 2000)
    assert found["batch_ms"] == [50.0, 70.0]
    assert found["batch_mean_ms"] == pytest.approx(60)
    assert found["rows_per_s"] == pytest.approx(1163 / 0.12, rel=1e-5)
    for percentile in (50, 90, 99):
        value = found[f"single_p{percentile}_ms"]
        assert value == pytest.approx(np.percentile(single_s, percentile) * 1000, rel=1e-5)
        low, high = found["intervals"][f"single_p{percentile}_ms"]
        assert low < value < high
    assert found["intervals"]["batch_p99_ms"][1] is None


@pytest.mark.parametrize("n", range(1, 60))
def test_an_interval_holds_its_estimate(n: int) -> None:
    """Of few calls, of which the last is slow, p50 to p99 are interpolated far from any call's own time."""
    found = summary(batch_s=[], batch_rows=[], single_s=[*[0.001] * (n - 1), 1.0])
    for name, (low, high) in found["intervals"].items():
        if name.startswith("single") and low is not None:
            assert low <= found[name]
        if name.startswith("single") and high is not None:
            assert found[name] <= high


def test_the_histogram_has_every_call() -> None:
    single_s = [0.001] * 50 + [0.002] * 30 + [3.0]
    histogram = summary(batch_s=[], batch_rows=[], single_s=single_s)["single_histogram"]
    assert len(histogram["edges_ms"]) == N_BINS + 1
    assert (histogram["counts"][0], sum(histogram["counts"]), histogram["counts"][-1]) == (50, 81, 1)
    assert histogram["edges_ms"] == sorted(histogram["edges_ms"])


def test_equal_times_are_one_bin() -> None:
    histogram = summary(batch_s=[], batch_rows=[], single_s=[0.5, 0.5])["single_histogram"]
    assert histogram["counts"] == [2]


def test_nothing_timed_has_no_numbers() -> None:
    found = summary(batch_s=[], batch_rows=[], single_s=[])
    assert found["batch_mean_ms"] is None
    assert found["single_p99_ms"] is None
    assert found["single_histogram"] is None
    assert found["intervals"]["single_mean_ms"] == [None, None]


def test_many_batches_are_thinned_evenly() -> None:
    found = summary(batch_s=[n / 1000 for n in range(1, 5001)], batch_rows=[1] * 5000, single_s=[])
    assert len(found["batch_ms"]) == BATCHES_SHOWN
    assert (found["batch_ms"][0], found["batch_ms"][-1], found["n_batches"]) == (1.0, 5000.0, 5000)
    assert found["batch_numbers"] == [round(value) for value in found["batch_ms"]]


def test_batches_that_were_not_timed_leave_their_numbers_out() -> None:
    found = summary(batch_s=[0.1, 0.3], batch_rows=[5, 5], batch_numbers=[1, 3], n_sent=4, single_s=[])
    assert (found["n_batches"], found["n_batches_sent"]) == (2, 4)
    assert (found["batch_numbers"], found["batch_ms"]) == ([1, 3], [100.0, 300.0])
