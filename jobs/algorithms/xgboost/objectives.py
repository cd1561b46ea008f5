"""XGBoost's objectives and metrics, and what of them the rest needs to know. Imports no library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from jobs.algorithms.base import LabelFacts, PredictorType

REGRESSION: Final = (
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:logistic",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:gamma",
    "reg:tweedie",
    "count:poisson",
)
BINARY: Final = ("binary:logistic", "binary:logitraw", "binary:hinge")
MULTICLASS: Final = ("multi:softmax", "multi:softprob")
OBJECTIVES: Final = (*REGRESSION, *BINARY, *MULTICLASS)

LABEL_RANGES: Final[Mapping[str, tuple[float, float, bool]]] = {
    "reg:squaredlogerror": (-1.0, float("inf"), True),
    "reg:logistic": (0.0, 1.0, False),
    "reg:gamma": (0.0, float("inf"), True),
    "reg:tweedie": (0.0, float("inf"), False),
    "count:poisson": (0.0, float("inf"), False),
}
"""Lowest and highest label of an objective, and whether the lowest itself is refused."""

Direction = Literal["Maximize", "Minimize"]

METRICS: Final[Mapping[str, Direction]] = {
    "rmse": "Minimize",
    "rmsle": "Minimize",
    "mae": "Minimize",
    "mape": "Minimize",
    "mphe": "Minimize",
    "mse": "Minimize",
    "logloss": "Minimize",
    "error": "Minimize",
    "auc": "Maximize",
    "aucpr": "Maximize",
    "merror": "Minimize",
    "mlogloss": "Minimize",
    "accuracy": "Maximize",
    "f1": "Maximize",
    "poisson-nloglik": "Minimize",
    "gamma-nloglik": "Minimize",
    "gamma-deviance": "Minimize",
    "tweedie-nloglik": "Minimize",
}
"""What eval_metric may name."""
OWN_METRICS: Final = ("accuracy", "f1", "mse")
"""The managed service's additions to XGBoost's own."""
_OF_CLASSES: Final = ("logloss", "error", "merror", "mlogloss", "auc", "aucpr", "accuracy", "f1")
_OF_BINARY: Final = ("logloss", "error", "auc", "aucpr", "accuracy", "f1", "rmse", "mae", "mse")
_OF_TWO: Final = ("logloss", "error", "aucpr")


def metric_names(text: str | None) -> list[str]:
    """The metrics of an `eval_metric`, separated by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def metrics_for(objective: str) -> list[str]:
    """The metrics that go with an objective."""
    if objective in MULTICLASS:
        return [name for name in METRICS if name in _OF_CLASSES and name not in _OF_TWO]
    if objective in BINARY:
        # A raw score is no probability, which accuracy and f1 take it for.
        own = ("accuracy", "f1") if objective == "binary:logitraw" else ()
        return [name for name in METRICS if name in _OF_BINARY and name not in own]
    return [name for name in METRICS if name not in _OF_CLASSES or objective == "reg:logistic"]


def predicts(values: Mapping[str, Any]) -> PredictorType:
    return "regressor" if values.get("objective") in REGRESSION else "classifier"


def suggests(labels: LabelFacts) -> Mapping[str, str]:
    """An objective that fits the labels, with the number of classes as XGBoost counts them."""
    if not labels.is_classes:
        return {"objective": "reg:squarederror"}
    if labels.n_from_zero <= 2:
        return {"objective": "binary:logistic"}
    return {"objective": "multi:softprob", "num_class": str(labels.n_from_zero)}
