"""Confidence intervals for what an evaluation measures. Pure Python; every formula names its source.

All are two-sided at `CONFIDENCE`. They treat rows, and calls, as independent draws: calls that follow each other on
a busy machine are not quite that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import cos, exp, log, pi, sin, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np

CONFIDENCE: Final = 0.95
Interval = tuple[float, float]
OpenInterval = tuple[float | None, float | None]
"""None where so few values say nothing about that side."""

_TAIL: Final = (1 - CONFIDENCE) / 2
_Z: Final = NormalDist().inv_cdf(1 - _TAIL)


def share_interval(n_hits: float, n: float) -> Interval:
    """Of a share of independent hits: Wilson's score interval (E. B. Wilson, J. Amer. Statist. Assoc. 22, 1927,
    209-212; recommended by Brown, Cai and DasGupta, Statist. Sci. 16, 2001, 101-133). Never outside 0 … 1; without
    any draw 0 … 1.
    """
    if n <= 0:
        return 0.0, 1.0
    share, z2 = n_hits / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * sqrt(max(0.0, share * (1 - share) / n + z2 / (4 * n * n)))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if n_hits <= 0 else low), (1.0 if n_hits >= n else high)


def score_interval(score: float, variance: float, n: int) -> Interval:
    """Of a score between 0 and 1 whose estimate has that variance: Wilson's interval for as many independent draws as
    would have it (the effective sample size of Korn and Graubard, Survey Methodology 24, 1998, 193-201; with Wilson's
    interval in Dean and Pagano, J. Surv. Stat. Methodol. 3, 2015, 484-503).

    Args:
        n: Rows; the effective size where the variance is estimated as 0.
    """
    spread = score * (1 - score)
    size = spread / variance if variance > 0 and spread > 0 else n
    return share_interval(score * size, size)


def f1_interval(n_hits: int, n_missed: int) -> Interval:
    """Of the F1 score of one class: F1 = 2J / (1 + J) grows with J, the share of hits among the rows that are of
    the class or said to be; Wilson's interval for J, carried over.

    Args:
        n_missed: Rows of the class that were said to be another, and the other way round.
    """
    low, high = share_interval(n_hits, n_hits + n_missed)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_interval(mean: float, variance: float, n: int) -> OpenInterval:
    """Of a mean: Student's t.

    Args:
        variance: Of one value, estimated with n - 1.
    """
    if n < 2:
        return None, None
    half = student_t(n - 1) * sqrt(variance / n)
    return mean - half, mean + half


def root_mean_interval(mean: float, variance: float, n: int) -> OpenInterval:
    """Of the root of a mean of squares, such as the RMSE: delta method (Lehmann, Elements of Large-Sample Theory, 1999,
    section 2.5): the deviation of √m is that of m over 2√m.

    Args:
        mean, variance: Of the squares, the latter with n - 1.
    """
    if n < 2:
        return None, None
    root = sqrt(mean)
    half = student_t(n - 1) * sqrt(variance / n) / (2 * root) if root else 0.0
    return max(0.0, root - half), root + half


def quantile_interval(ordered: Sequence[float], share: float) -> OpenInterval:
    """Of a quantile, whatever the distribution: two of the ordered values, chosen by the binomial distribution
    (Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 3.2; David and Nagaraja, Order Statistics,
    2003, section 7.1).
    """
    low, high = _places(len(ordered), share)
    return (None if low is None else ordered[low]), (None if high is None else ordered[high])


def widened(interval: OpenInterval, estimate: float) -> OpenInterval:
    """The interval, made to hold its estimate: a quantile interpolated between two values can lie beyond a bound, which
    is one of them.
    """
    low, high = interval
    return (None if low is None else min(low, estimate)), (None if high is None else max(high, estimate))


@lru_cache(maxsize=64)
def _places(n: int, share: float) -> tuple[int | None, int | None]:
    """Positions, from 0, of the values that bound the quantile."""
    if n < 1:
        return None, None
    draws = np.arange(n)
    steps = np.log((n - draws) / (draws + 1)) + log(share / (1 - share))
    logs = n * log(1 - share) + np.concatenate([[0.0], np.cumsum(steps)])
    at_most = np.cumsum(np.exp(logs))  # that so many values or fewer lie below the quantile
    low = int(np.searchsorted(at_most, _TAIL, side="right")) - 1
    high = int(np.searchsorted(at_most, 1 - _TAIL, side="left"))
    return (low if low >= 0 else None), (high if high < n else None)


def student_t(degrees: int) -> float:
    """The quantile of Student's t that `CONFIDENCE` needs, to six digits (G. W. Hill, Algorithm 396, Comm. ACM 13,
    1970, 619-620).
    """
    p, n = 2 * _TAIL, float(degrees)
    if degrees == 1:
        return cos(p * pi / 2) / sin(p * pi / 2)
    if degrees == 2:
        return sqrt(2 / (p * (2 - p)) - 2)
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * pi / 2) * n
    y = (d * p) ** (2 / n)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(p / 2)
        y = x * x
        if degrees < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = exp(a * y * y) - 1
    else:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (
            n + 1
        ) / (n + 2) + 1 / y
    return sqrt(n * y)
