"""XGBoost as a training job: read, boost round by round, save. The log lines are the managed service's own.

NaN policy: a missing feature is a missing value, which trees send the way that serves best; a missing label ends the
job with its row.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from jobs.algorithms.base import Algorithm, DataFacts, Predictor, TrainingContext
from jobs.algorithms.model_files import description_read, description_write
from jobs.algorithms.scored_channel import channel_score
from jobs.algorithms.training_table import TrainingTable, table_read
from jobs.algorithms.xgboost.booster import (
    FILE,
    LoadedBooster,
    Scores,
    TrainingFailed,
    booster_train,
    booster_write,
)
from jobs.algorithms.xgboost.labels import labels_check
from jobs.algorithms.xgboost.objectives import METRICS, OWN_METRICS, REGRESSION, metric_names
from jobs.algorithms.xgboost.predictor import XGBoostPredictor
from mlplatform.core.errors import DataError, InvalidRequest, ModelError
from mlplatform.core.text import text as _

_NAME: Final = "xgboost"
_READ: Final = 0.1
"""Share of the progress that reading is."""
_NOT_PASSED_ON: Final = ("num_round", "early_stopping_rounds", "eval_metric", "_tuning_objective_metric")
_ONLY_WITH: Final = {
    "scale_pos_weight": ("objective", ("binary:logistic", "binary:logitraw", "binary:hinge")),
    "tweedie_variance_power": ("objective", ("reg:tweedie",)),
    **dict.fromkeys(
        ("sample_type", "normalize_type", "rate_drop", "one_drop", "skip_drop"), ("booster", ("dart",))
    ),
}
"""XGBoost warns of parameters that nobody uses."""


class XGBoost(Algorithm):
    """The engine of `xgboost`."""

    trains_with = ("xgboost.data",)

    def train(self, context: TrainingContext) -> None:
        values = context.hyperparameters
        _early_stopping_check(context)
        train = _read(context, "train", None)
        validation = None
        if "validation" in context.channels:
            validation = _read(context, "validation", train.X.shape[1])
        sample_row, n_features = train.sample_row, int(train.X.shape[1])
        context.progress(_READ)
        booster = _boost(context, train, validation)
        context.check_stop()
        booster_write(booster, context.model_dir)
        _score(context, sample_row)
        description_write(
            context.model_dir,
            algorithm=_NAME,
            content={
                "objective": values["objective"],
                "n_features": n_features,
                "n_rounds": booster.num_boosted_rounds(),
                "feature_names": list(train.feature_names) if train.feature_names else None,
                "sample_row": sample_row,
            },
        )
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        description = description_read(model_dir, algorithm=_NAME)
        booster = LoadedBooster(model_dir, n_threads=n_threads)
        if booster.n_features != description["n_features"]:
            raise ModelError(
                f"The model's files do not belong together: {FILE} has {booster.n_features} features"
            )
        return XGBoostPredictor(
            booster, objective=description["objective"], sample_row=description["sample_row"]
        )


def _score(context: TrainingContext, sample_row: list[float] | None) -> None:
    """Scores the test channel with the model as it was written."""
    if "test" not in context.channels:
        return
    objective = context.hyperparameters["objective"]
    booster = LoadedBooster(context.model_dir, n_threads=context.n_threads)
    channel_score(
        context,
        XGBoostPredictor(booster, objective=objective, sample_row=sample_row),
        channel_name="test",
        algorithm="XGBoost",
        is_classifier=objective not in REGRESSION,
        missing=True,
    )


def _early_stopping_check(context: TrainingContext) -> None:
    if context.hyperparameters["early_stopping_rounds"] and "validation" not in context.channels:
        raise InvalidRequest.for_field(
            "hyperparameters.early_stopping_rounds",
            _(
                "looks at the validation channel, which the job does not have; add the channel or leave it out"
            ),
        )


def _read(context: TrainingContext, channel: str, n_features: int | None) -> TrainingTable:
    values = context.hyperparameters
    table = table_read(context, channel, algorithm="XGBoost", missing=True, n_features=n_features)
    labels_check(table.y, objective=values["objective"], num_class=values["num_class"], channel=channel)
    if channel == "train":
        context.check(_facts(table, values["objective"]))
    n_missing = int(np.isnan(table.X).sum())
    context.log(
        f"Determined {channel} data: {len(table.X)}x{table.X.shape[1]} matrix, {n_missing} values missing"
    )
    return table


def _facts(table: TrainingTable, objective: str) -> DataFacts:
    n_classes = None if objective in REGRESSION else len(np.unique(table.y))
    return DataFacts(n_rows=len(table.X), n_features=int(table.X.shape[1]), n_classes=n_classes)


def _boost(context: TrainingContext, train: TrainingTable, validation: TrainingTable | None) -> Any:
    values = context.hyperparameters
    asked = metric_names(values["eval_metric"])

    def on_round(number: int, scores: Scores) -> None:
        context.check_stop()
        context.log(_round_text(number, scores))
        context.progress(_READ + (1 - _READ) * (number + 1) / (values["num_round"] + 1))

    try:
        return booster_train(
            _parameters(context, asked),
            n_rounds=values["num_round"],
            train=(train.X, train.y),
            validation=None if validation is None else (validation.X, validation.y),
            own_metrics=[name for name in asked if name in OWN_METRICS],
            early_stopping=_early_stopping(values, asked),
            on_round=on_round,
        )
    except TrainingFailed as error:
        raise DataError(_("XGBoost cannot train on this data: {error}", error=str(error))) from error


def _early_stopping(values: Any, asked: list[str]) -> tuple[int, str | None, bool | None] | None:
    """By the last metric asked for; without one, by the objective's own."""
    if not values["early_stopping_rounds"]:
        return None
    rounds = values["early_stopping_rounds"]
    if not asked:
        return rounds, None, None
    return rounds, _library_name(asked[-1], values), METRICS[asked[-1]] == "Maximize"


def _parameters(context: TrainingContext, asked: list[str]) -> dict[str, Any]:
    """XGBoost's own, under its own names."""
    values = context.hyperparameters
    found = {
        name: value
        for name, value in values.items()
        if value is not None and name not in _NOT_PASSED_ON and _is_used(name, values)
    }
    own = [name for name in asked if name in OWN_METRICS]
    library = [_library_name(name, values) for name in asked if name not in own]
    found |= {"nthread": context.n_threads, "verbosity": 0}
    if library:
        found["eval_metric"] = library
    if own and not library:
        found["disable_default_eval_metric"] = 1
    return found


def _is_used(name: str, values: Any) -> bool:
    other, wanted = _ONLY_WITH.get(name, ("", ()))
    return not other or values[other] in wanted


def _library_name(metric: str, values: Any) -> str:
    return f"{metric}@{values['tweedie_variance_power']:g}" if metric == "tweedie-nloglik" else metric


def _round_text(number: int, scores: Scores) -> str:
    """`[3]#011train-rmse:0.50000#011validation-rmse:0.60000`: #011 is what the service's log makes of a tab."""
    parts = [
        f"#011{channel}-{metric}:{_number(found[-1])}"
        for channel, metrics in scores.items()
        for metric, found in metrics.items()
    ]
    return f"[{number}]" + "".join(parts)


def _number(found: Any) -> str:
    value = float(found[0] if isinstance(found, tuple) else found)
    return f"{value:.5f}" if math.isfinite(value) and abs(value) >= 1e-3 else f"{value:.6g}"
