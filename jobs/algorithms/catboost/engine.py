"""CatBoost as a training job: read, boost iteration by iteration, save.

NaN policy: a missing feature is a missing value, which counts as less than any other; a missing label ends the job with
its row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, DataFacts, Predictor, TrainingContext
from jobs.algorithms.catboost.ensemble import (
    LoadedEnsemble,
    Scores,
    TrainingFailed,
    ensemble_train,
    ensemble_write,
)
from jobs.algorithms.catboost.losses import METRICS, REGRESSION
from jobs.algorithms.catboost.predictor import CatBoostPredictor
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.model_files import description_read, description_write
from jobs.algorithms.scored_channel import channel_score
from jobs.algorithms.training_table import TrainingTable, table_read
from mlplatform.core.errors import DataError, InvalidRequest, ModelError
from mlplatform.core.text import text as _

_NAME: Final = "catboost"
_TITLE: Final = "CatBoost"
_READ: Final = 0.1
"""Share of the progress that reading is."""


class CatBoost(Algorithm):
    """The engine of `catboost`."""

    def train(self, context: TrainingContext) -> None:
        _early_stopping_check(context)
        is_classifier = context.hyperparameters["loss_function"] not in REGRESSION
        table = _read(context, "train", None)
        labels = ClassLabels.of(table.y) if is_classifier else None
        context.check(
            DataFacts(
                n_rows=len(table.X), n_features=table.X.shape[1], n_classes=len(labels) if labels else None
            )
        )
        validation = None
        if "validation" in context.channels:
            validation = _read(context, "validation", table.X.shape[1])
        context.progress(_READ)
        model = _boost(context, table, validation, labels)
        context.check_stop()
        ensemble_write(model, context.model_dir)
        description_write(
            context.model_dir,
            algorithm=_NAME,
            content={
                "loss_function": context.hyperparameters["loss_function"],
                "labels": labels.to_json() if labels else None,
                "n_features": int(table.X.shape[1]),
                "n_trees": int(model.tree_count_),
                "feature_names": list(table.feature_names) if table.feature_names else None,
                "sample_row": table.sample_row,
            },
        )
        channel_score(
            context,
            self.load(context.model_dir, n_threads=context.n_threads),
            channel_name="test",
            algorithm=_TITLE,
            is_classifier=is_classifier,
            missing=True,
        )
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        description = description_read(model_dir, algorithm=_NAME)
        ensemble = LoadedEnsemble(model_dir, n_threads=n_threads)
        if ensemble.n_features != description["n_features"]:
            raise ModelError("The model's files do not belong together: their numbers of features differ")
        labels = description["labels"]
        return CatBoostPredictor(
            ensemble,
            labels=None if labels is None else ClassLabels.from_json(labels),
            sample_row=description["sample_row"],
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
    table = table_read(context, channel, algorithm=_TITLE, missing=True, n_features=n_features)
    n_missing = int(np.isnan(table.X).sum())
    context.log(f"Read {channel} data: {len(table.X)}x{table.X.shape[1]} matrix, {n_missing} values missing")
    return table


def _boost(
    context: TrainingContext,
    train: TrainingTable,
    validation: TrainingTable | None,
    labels: ClassLabels | None,
) -> Any:
    n_iterations = context.hyperparameters["iterations"]

    def on_round(number: int, scores: Scores) -> bool:
        context.log(_round_text(number - 1, scores))
        context.progress(_READ + (1 - _READ) * number / (n_iterations + 1))
        return not context.stop_requested()

    def target(table: TrainingTable, channel: str) -> NDArray[Any]:
        return table.y if labels is None else labels.encode(table.y, channel=channel)

    try:
        return ensemble_train(
            _parameters(context, labels),
            train=(train.X, target(train, "train")),
            validation=None if validation is None else (validation.X, target(validation, "validation")),
            on_round=on_round,
        )
    except TrainingFailed as error:
        context.check_stop()
        raise DataError(_("CatBoost cannot train on this data: {error}", error=str(error))) from error


def _parameters(context: TrainingContext, labels: ClassLabels | None) -> dict[str, Any]:
    """CatBoost's own, under its own names."""
    found = {
        name: value
        for name, value in context.hyperparameters.items()
        if value is not None and not name.startswith("_")
    }
    found["thread_count"] = context.n_threads
    if labels is not None and found["loss_function"] == "MultiClass":
        found["classes_count"] = len(labels)
    return found


def _round_text(number: int, scores: Scores) -> str:
    """`[3] train RMSE=0.51, validation RMSE=0.62`."""
    parts = [
        f" {'train' if channel == 'learn' else channel} {metric}={found[-1]:.6g}"
        for channel, metrics in scores.items()
        for metric, found in metrics.items()
        if metric in METRICS and found
    ]
    return f"[{number}]" + ",".join(parts)
