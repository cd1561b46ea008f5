"""Intervals against closed forms, scipy, and draws whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from endpoints.evaluation.intervals import (
    CONFIDENCE,
    f1_interval,
    mean_interval,
    quantile_interval,
    root_mean_interval,
    score_interval,
    share_interval,
    student_t,
)


@given(n=st.integers(1, 10**6), share=st.floats(0, 1))
def test_shares_are_wilson_s(n: int, share: float) -> None:
    hits = round(n * share)
    expected = stats.binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    assert share_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share_interval(hits, n)[0] <= hits / n <= share_interval(hits, n)[1]


def test_no_draw_says_nothing() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)


def test_a_score_as_variable_as_a_share_has_its_interval() -> None:
    assert score_interval(0.3, 0.3 * 0.7 / 50, 10**6) == pytest.approx(share_interval(15, 50))
    assert score_interval(1.0, 0.0, 50) == share_interval(50, 50)


def test_f1_of_a_class_follows_from_its_jaccard_index() -> None:
    low, high = share_interval(30, 40)
    assert f1_interval(30, 10) == (2 * low / (1 + low), 2 * high / (1 + high))
    assert f1_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 7, 10, 29, 100, 1999, 58_101])
def test_student_s_t_is_scipy_s(degrees: int) -> None:
    assert student_t(degrees) == pytest.approx(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees), rel=1e-6)


def test_a_mean_s_interval_is_student_s() -> None:
    values = np.random.default_rng(0).gamma(2, 3, 25)
    expected = stats.ttest_1samp(values, 0).confidence_interval(CONFIDENCE)
    found = mean_interval(float(values.mean()), float(values.var(ddof=1)), 25)
    assert found == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_one_value_says_nothing_of_its_spread() -> None:
    assert mean_interval(3.0, 0.0, 1) == (None, None)
    assert root_mean_interval(3.0, 0.0, 1) == (None, None)


def test_the_root_of_a_mean_covers_the_truth() -> None:
    chance = np.random.default_rng(1)
    n_covered = 0
    for _ in range(500):
        squares = chance.normal(0, 2, 400) ** 2
        low, high = root_mean_interval(float(squares.mean()), float(squares.var(ddof=1)), 400)
        assert low is not None and high is not None
        n_covered += low <= 2 <= high
    assert 455 <= n_covered <= 492  # 475 expected


def test_no_error_at_all_has_the_root_zero() -> None:
    assert root_mean_interval(0.0, 0.0, 10) == (0.0, 0.0)


@pytest.mark.parametrize("n", [6, 30, 100, 400, 2000])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_quantiles_are_bounded_by_the_nearest_values_that_suffice(n: int, share: float) -> None:
    """A value is a bound where the binomial distribution gives its side 97.5 %; one nearer the middle would not be."""
    low, high = quantile_interval([float(place) for place in range(n)], share)
    below = stats.binom(n, share)
    if low is None:
        assert below.cdf(0) > 0.025
    else:
        assert below.cdf(low) <= 0.025 < below.cdf(low + 1)
    if high is None:
        assert below.cdf(n - 1) < 0.975
    else:
        assert below.cdf(high - 1) < 0.975 <= below.cdf(high)


def test_quantiles_cover_the_truth() -> None:
    chance = np.random.default_rng(2)
    truth = stats.lognorm(1).ppf(0.9)
    n_covered = 0
    for _ in range(500):
        low, high = quantile_interval(np.sort(chance.lognormal(0, 1, 300)).tolist(), 0.9)
        assert low is not None and high is not None
        n_covered += low <= truth <= high
    assert 462 <= n_covered <= 495


def test_too_few_values_leave_a_side_open() -> None:
    assert quantile_interval([], 0.5) == (None, None)
    assert quantile_interval([1.0, 2.0, 3.0], 0.99)[1] is None
