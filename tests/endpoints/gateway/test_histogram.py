"""Latency histograms against numpy's percentiles, and their algebra."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.gateway.histogram import RELATIVE_ERROR, Histogram

latencies = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200)


def filled(values: object) -> Histogram:
    histogram = Histogram()
    for value in values:  # type: ignore[attr-defined]
        histogram.add(float(value))
    return histogram


@given(latencies, st.floats(0, 100))
def test_a_percentile_is_within_two_percent_of_the_value_at_its_rank(values: list[float], q: float) -> None:
    exact = np.percentile(values, q, method="inverted_cdf")
    assert filled(values).percentile(q) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_of_many_latencies_agree_with_numpy_within_three_percent(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(mean=1.0, sigma=1.2, size=20_000)
    histogram = filled(values)
    for q in (50, 90, 99):
        assert histogram.percentile(q) == pytest.approx(np.percentile(values, q), rel=0.03)
    assert histogram.mean_ms == pytest.approx(values.mean())
    assert len(histogram.buckets) < 400


@given(latencies, latencies)
def test_merging_is_the_same_as_adding_all(a: list[float], b: list[float]) -> None:
    merged = Histogram.merged([filled(a), filled(b)])
    whole = filled(a + b)
    assert merged.buckets == whole.buckets
    assert (merged.n, merged.max_ms) == (whole.n, whole.max_ms)
    assert merged.sum_ms == pytest.approx(whole.sum_ms)


@given(latencies)
def test_json_keeps_everything(values: list[float]) -> None:
    histogram = filled(values)
    again = Histogram.from_dict(json.loads(json.dumps(histogram.to_dict())))
    assert again.to_dict() == histogram.to_dict()
    assert again.percentile(90) == histogram.percentile(90)


def test_nothing_has_no_percentiles() -> None:
    assert Histogram().percentile(50) is None
    assert Histogram().mean_ms is None
    assert Histogram.from_dict({}).percentile(99) is None


def test_a_clock_that_stood_still_is_counted() -> None:
    histogram = filled([0.0, -1.0, 5.0])
    assert histogram.n == 3
    assert histogram.percentile(50) == pytest.approx(0.001, rel=0.03)
