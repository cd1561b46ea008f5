"""Running statistics of one column, fed piece by piece: what a column has, in memory bounded by the number of
values kept.

Mean and spread follow Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983): pieces
are merged by count, mean and sum of squared deviations, so that a large mean loses no digits. `std` is the
population's (divisor n).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlplatform.core.tabular.schema import ColumnType

N_BINS: Final = 20
N_TOP: Final = 20
DISTINCT_LIMIT: Final = 10_000
_KEY_LENGTH = 256
Floats = NDArray[np.float64]


class NumberStatistics:
    """Of a column of numbers. Missing cells are counted and otherwise left out."""

    def __init__(self, distinct_limit: int = DISTINCT_LIMIT) -> None:
        self.n_missing = 0
        self.n = 0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._mean = 0.0
        self._squares = 0.0
        self._limit = distinct_limit
        self._values: Floats = np.empty(0)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.exceeded = False
        self._bins: NDArray[np.int64] | None = None

    def add(self, column: pa.ChunkedArray) -> None:
        values = numbers_of(column)
        self.n_missing += len(column) - len(values)
        if not len(values):
            return
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        self._merge(len(values), float(values.mean()), float(((values - values.mean()) ** 2).sum()))
        if not self.exceeded:
            self._add_distinct(values)

    def add_to_histogram(self, column: pa.ChunkedArray) -> None:
        """Second pass, for a column with more values than are kept."""
        # Counting by range and not by edges takes numpy's fast way for equal widths.
        limits = (self.minimum, self.maximum)
        counts, _ = np.histogram(numbers_of(column), bins=N_BINS, range=limits)
        self._bins = counts if self._bins is None else self._bins + counts

    def summary(self) -> dict[str, Any]:
        known = self.n > 0
        return {
            "missing": self.n_missing,
            "min": self.minimum if known else None,
            "max": self.maximum if known else None,
            "mean": self._mean if known else None,
            "std": math.sqrt(self._squares / self.n) if known else None,
            "distinct": self._limit if self.exceeded else len(self._values),
            "distinct_exceeded": self.exceeded,
        }

    def histogram(self) -> dict[str, list[float]]:
        """`edges` (one more than `counts`) and `counts` of 20 bins of equal width; empty without a value."""
        if not self.n:
            return {"edges": [], "counts": []}
        edges = self._edges()
        counts = self._bins
        if counts is None:
            counts, _ = np.histogram(self._values, bins=edges, weights=self._counts)
        return {"edges": edges.tolist(), "counts": [int(count) for count in counts]}

    def _merge(self, n: int, mean: float, squares: float) -> None:
        total = self.n + n
        step = mean - self._mean
        self._squares += squares + step * step * self.n * n / total
        self._mean += step * n / total
        self.n = total

    def _add_distinct(self, values: Floats) -> None:
        counted = pa.array(values).value_counts()
        found, counts = counted.field(0).to_numpy(), counted.field(1).to_numpy()
        both = np.concatenate([self._values, found])
        weights = np.concatenate([self._counts, counts])
        self._values, inverse = np.unique(both, return_inverse=True)
        self._counts = np.bincount(inverse, weights=weights, minlength=len(self._values)).astype(np.int64)
        if len(self._values) > self._limit:
            self.exceeded = True
            self._values, self._counts = np.empty(0), np.empty(0, dtype=np.int64)

    def _edges(self) -> Floats:
        return np.histogram_bin_edges(np.empty(0), bins=N_BINS, range=(self.minimum, self.maximum))


class TextStatistics:
    """Of a column of text or truth values: the most frequent ones. Long texts are told apart by a digest."""

    exceeded = False

    def __init__(self, distinct_limit: int = DISTINCT_LIMIT) -> None:
        self.n_missing = 0
        self.counts: Counter[str] = Counter()
        self.too_many = False
        self._limit = distinct_limit

    def add(self, column: pa.ChunkedArray) -> None:
        self.n_missing += column.null_count
        counted = column.drop_null().value_counts()
        for value, count in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True):
            key = text_key(value)
            if key in self.counts or not self.too_many:
                self.counts[key] += count
            self.too_many = len(self.counts) > self._limit

    def summary(self) -> dict[str, Any]:
        return {
            "missing": self.n_missing,
            "min": None,
            "max": None,
            "mean": None,
            "std": None,
            "distinct": min(len(self.counts), self._limit),
            "distinct_exceeded": self.too_many,
        }

    def histogram(self) -> dict[str, list[Any]]:
        """The most frequent values, at most 20, and how often they occur; ties in order of the text."""
        top = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:N_TOP]
        return {"values": [value for value, _ in top], "counts": [count for _, count in top]}


Statistics = NumberStatistics | TextStatistics


def statistics_new(kind: ColumnType, distinct_limit: int) -> Statistics:
    return (TextStatistics if kind in {"text", "boolean"} else NumberStatistics)(distinct_limit)


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """The cells that are not missing (NaN is), float64."""
    values = np.asarray(column.drop_null().to_numpy(), dtype=np.float64)
    missing = np.isnan(values)
    return values[~missing] if missing.any() else values


def text_key(value: str | bool) -> str:
    """The value as text, at most 256 characters."""
    text = value if isinstance(value, str) else str(value).lower()
    if len(text) <= _KEY_LENGTH:
        return text
    return f"{text[:200]}… {hashlib.sha256(text.encode()).hexdigest()[:12]}"
