"""Scores of a regressor for every k: RMSE and MAE with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.answers import Floats
from endpoints.evaluation.collected import CollectedValues
from endpoints.evaluation.intervals import CONFIDENCE, OpenInterval, mean_interval, root_mean_interval
from endpoints.evaluation.predictions import PredictionsHeader
from endpoints.evaluation.scored import Axes, Scored, pair, planes_of

SCORES: Final = ("rmse", "mae")


@dataclass(frozen=True)
class ValueErrors:
    """Errors of n ≥ 1 predictions, as the moments that scores and intervals need."""

    n: int
    mean_square: float
    variance_square: float
    mean_absolute: float
    variance_absolute: float

    @classmethod
    def of(cls, labels: Floats, predictions: Floats) -> ValueErrors:
        """float32 [n] each, finite; summed in float64."""
        absolute = np.abs(predictions.astype(np.float64) - labels)
        square = absolute * absolute
        return cls(
            len(labels), float(square.mean()), _variance(square), float(absolute.mean()), _variance(absolute)
        )

    def scores(self) -> dict[str, float]:
        return {"rmse": sqrt(self.mean_square), "mae": self.mean_absolute}

    def intervals(self) -> dict[str, OpenInterval]:
        low, high = mean_interval(self.mean_absolute, self.variance_absolute, self.n)
        return {
            "rmse": root_mean_interval(self.mean_square, self.variance_square, self.n),
            "mae": (None if low is None else max(0.0, low), high),
        }


def values_score(collected: CollectedValues) -> Scored:
    """Over the rows that have a label; there must be one."""
    axes, labelled = Axes.of(collected), collected.has_label
    labels = collected.labels[labelled]

    def errors(plane: Floats) -> ValueErrors:
        return ValueErrors.of(labels, plane[labelled])

    planes = collected.planes
    by_k = [errors(plane) for plane in (planes if planes is not None else [collected.own])]
    scores = [each.scores() for each in by_k]
    intervals = [each.intervals() for each in by_k]
    best = int(np.argmin([each["rmse"] for each in scores]))
    own = errors(collected.own)
    quality = {
        "k": None if axes.ks is None else list(axes.ks),
        **{name: [each[name] for each in scores] for name in SCORES},
        "intervals": {name: [pair(each[name]) for each in intervals] for name in SCORES},
        "confidence": CONFIDENCE,
    }
    summary = {
        "kind": "regression",
        "n_rows": collected.n_rows,
        "has_k": axes.ks is not None,
        "k_best": None if axes.ks is None else axes.ks[best],
        "metric": "rmse",
        "best": scores[best]["rmse"],
        "best_interval": pair(intervals[best]["rmse"]),
        "k": axes.own,
        "value": own.scores()["rmse"],
        "value_interval": pair(own.intervals()["rmse"]),
        "mae": own.scores()["mae"],
    }
    header = PredictionsHeader(collected.n_rows, len(axes.stored or (0,)), axes.stored, None, "f4")
    return Scored(
        summary=summary,
        result={"kind": "regression", "quality": quality},
        header=header,
        labels=collected.labels.astype("<f4"),
        planes=(plane.astype("<f4") for plane in planes_of(collected)),
    )


def _variance(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0
