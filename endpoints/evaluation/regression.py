"""RMSE, MAE and R², counted row by row in plain Python (Welford's update, so that large labels do not cancel)."""

from __future__ import annotations

from math import sqrt
from typing import Any


class RegressionTally:
    """Sums over (label, prediction). Labels and predictions must be finite."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._absolute = 0.0
        self._squared = 0.0
        self._mean = 0.0
        self._spread = 0.0

    def add(self, label: float, prediction: float) -> None:
        error = prediction - label
        self.n_rows += 1
        self._absolute += abs(error)
        self._squared += error * error
        step = label - self._mean
        self._mean += step / self.n_rows
        self._spread += step * (label - self._mean)

    def summary(self) -> dict[str, Any]:
        """As JSON. R² is None below two rows or when all labels are equal."""
        n = self.n_rows
        return {
            "kind": "regression",
            "n_rows": n,
            "rmse": sqrt(self._squared / n) if n else None,
            "mae": self._absolute / n if n else None,
            "r2": 1 - self._squared / self._spread if n > 1 and self._spread > 0 else None,
        }
