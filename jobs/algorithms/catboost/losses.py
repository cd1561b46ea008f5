"""CatBoost's losses and metrics, and which go together. Imports no library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from jobs.algorithms.base import LabelFacts, PredictorType

REGRESSION: Final = ("RMSE", "MAE")
LOSSES: Final = (*REGRESSION, "Logloss", "MultiClass")

METRICS: Final[Mapping[str, tuple[Literal["Maximize", "Minimize"], tuple[str, ...]]]] = {
    "RMSE": ("Minimize", REGRESSION),
    "MAE": ("Minimize", REGRESSION),
    "R2": ("Maximize", REGRESSION),
    "Logloss": ("Minimize", ("Logloss",)),
    "MultiClass": ("Minimize", ("MultiClass",)),
    "AUC": ("Maximize", ("Logloss",)),
    "F1": ("Maximize", ("Logloss",)),
    "Accuracy": ("Maximize", ("Logloss", "MultiClass")),
    "TotalF1": ("Maximize", ("Logloss", "MultiClass")),
}
"""The direction of each metric, and the losses that it goes with."""


def metrics_for(loss: str) -> list[str]:
    return [name for name, (_direction, losses) in METRICS.items() if loss in losses]


def predicts(values: Mapping[str, Any]) -> PredictorType:
    return "regressor" if values.get("loss_function") in REGRESSION else "classifier"


def suggests(labels: LabelFacts) -> Mapping[str, str]:
    """A loss that fits the labels."""
    if not labels.is_classes:
        return {"loss_function": "RMSE"}
    return {"loss_function": "MultiClass" if labels.n_distinct > 2 else "Logloss"}
