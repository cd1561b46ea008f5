"""Latencies as a histogram with log-spaced buckets: small, mergeable, percentiles within 2 %.

The gateway fills them, the database keeps them as JSON, the endpoint's page merges and reads them. The
buckets are those of DDSketch (Masson, Rim, Lee, VLDB 2019) with relative accuracy 0.02: bucket i holds
gamma^(i-1) < x <= gamma^i with gamma = 1.02 / 0.98, and 2 gamma^i / (gamma + 1) stands for all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, exp, log
from typing import Any

RELATIVE_ERROR = 0.02
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = log(_GAMMA)
_FLOOR_MS = 0.001


class Histogram:
    """Counts of values in milliseconds; what is below one microsecond counts as one."""

    __slots__ = ("buckets", "max_ms", "n", "sum_ms")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.n = 0
        self.sum_ms = 0.0
        self.max_ms = 0.0

    def add(self, value_ms: float) -> None:
        index = ceil(log(value_ms if value_ms > _FLOOR_MS else _FLOOR_MS) / _LOG_GAMMA)
        self.buckets[index] = self.buckets.get(index, 0) + 1
        self.n += 1
        self.sum_ms += value_ms
        if value_ms > self.max_ms:
            self.max_ms = value_ms

    def merge(self, other: Histogram) -> None:
        """Adds the other's values to this one, exactly as if they had been added one by one."""
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        self.n += other.n
        self.sum_ms += other.sum_ms
        self.max_ms = max(self.max_ms, other.max_ms)

    def percentile(self, q: float) -> float | None:
        """The value below which q percent lie (the smallest with at least that share at or below it); None
        when empty."""
        rank = max(1, ceil(self.n * q / 100))
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen >= rank:
                return min(2 * exp(index * _LOG_GAMMA) / (_GAMMA + 1), self.max_ms)
        return None

    @property
    def mean_ms(self) -> float | None:
        return self.sum_ms / self.n if self.n else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON: {"n", "sum_ms", "max_ms", "buckets": {"<index>": count}}."""
        buckets = {str(index): count for index, count in sorted(self.buckets.items())}
        return {"n": self.n, "sum_ms": self.sum_ms, "max_ms": self.max_ms, "buckets": buckets}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Histogram:
        histogram = cls()
        histogram.buckets = {int(index): int(count) for index, count in content.get("buckets", {}).items()}
        histogram.n = sum(histogram.buckets.values())
        histogram.sum_ms = float(content.get("sum_ms", 0.0))
        histogram.max_ms = float(content.get("max_ms", 0.0))
        return histogram

    @classmethod
    def merged(cls, parts: Iterable[Histogram]) -> Histogram:
        whole = cls()
        for part in parts:
            whole.merge(part)
        return whole
