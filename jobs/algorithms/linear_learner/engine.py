"""linear-learner as a training job: read, normalise, descend epoch by epoch, score, save.

NaN policy: a missing feature or label ends the job with its row and column.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, DataFacts, Predictor, TrainingContext
from jobs.algorithms.linear_learner.descent import Weights, batch_rows, epochs
from jobs.algorithms.linear_learner.losses import Floats, Loss, loss_make
from jobs.algorithms.linear_learner.model import LinearModel, LinearPredictor, linear_read
from jobs.algorithms.linear_learner.rules import BINARY, MULTICLASS, REGRESSOR, loss_of
from jobs.algorithms.linear_learner.scores import linear_scores
from jobs.algorithms.quality_log import quality_log
from jobs.algorithms.training_table import TrainingTable, table_read
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

_READ: Final = 0.2
"""Share of the progress that reading is."""


class LinearLearner(Algorithm):
    """The engine of `linear-learner`."""

    def train(self, context: TrainingContext) -> None:
        table = _read(context, "train", None)
        validation = None
        if "validation" in context.channels:
            validation = _read(context, "validation", table.X.shape[1])
        sample_row = table.sample_row
        assert sample_row is not None, "no value is missing"
        context.progress(_READ)
        model = _Descent(context, table, validation).run()
        predictor = LinearPredictor(model, sample_row)
        if validation is not None:
            _score(context, "validation", predictor, model, validation)
        if "test" in context.channels:
            _score(context, "test", predictor, model, _read(context, "test", table.X.shape[1]))
        context.check_stop()
        names = table.feature_names
        model.write(
            context.model_dir,
            {
                "n_features": predictor.n_features,
                "feature_names": list(names) if names else None,
                "sample_row": sample_row,
            },
        )
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        return linear_read(model_dir)


class _Descent:
    """The training: arrays brought to one scale, and the best epoch's weights."""

    def __init__(
        self, context: TrainingContext, train: TrainingTable, validation: TrainingTable | None
    ) -> None:
        self._context, self._values = context, context.hyperparameters
        self._train, self._validation = train, validation
        self._kind = self._values["predictor_type"]
        normalise = self._values["normalize_data"] == "true"
        n_features = train.X.shape[1]
        self._centre, self._scale = (
            _scale(train.X) if normalise else (np.zeros(n_features), np.ones(n_features))
        )
        by_label = self._values["normalize_label"]
        self._y_centre, self._y_scale = 0.0, 1.0
        if self._kind == REGRESSOR and by_label != "false":
            self._y_centre, self._y_scale = float(train.y.mean()), float(train.y.std()) or 1.0
        self._loss: Loss = loss_make(loss_of(self._values), self._values, label_scale=self._y_scale)

    def run(self) -> LinearModel:
        n_answers = self._values["num_classes"] if self._kind == MULTICLASS else 1
        X = self._normalised(self._train.X)
        weights = Weights.zeros(X.shape[1], n_answers)
        size = batch_rows(self._values["mini_batch_size"], len(X))
        self._context.log(f"Using steps of {size} rows, {-(-len(X) // size)} an epoch")
        best, best_loss, waited = weights.copy(), math.inf, 0
        passes = epochs(
            weights,
            X,
            self._labels(self._train.y),
            _row_weights(self._values, self._train.y),
            loss=self._loss,
            values=self._values,
        )
        for number, loss in enumerate(passes):
            self._context.check_stop()
            watched = self._report(number, loss, weights)
            if watched < best_loss * (1 - self._values["early_stopping_tolerance"]) or best_loss == math.inf:
                best, best_loss, waited = weights.copy(), watched, 0
            else:
                waited += 1
            if waited >= self._values["early_stopping_patience"]:
                self._context.log(f"Early stopping after epoch {number}: no better loss in {waited} epochs")
                break
        return self._model(best)

    def _report(self, number: int, loss: float, weights: Weights) -> float:
        """Logs an epoch. Returns the loss that early stopping looks at. Raises DataError where there is none."""
        prefix = f"#quality_metric: host={self._context.host}, epoch={number}"
        self._context.log(f"{prefix}, train objective_loss <loss>={loss!r}")
        if self._validation is not None:
            answers = weights(self._normalised(self._validation.X))
            loss = float(np.mean(self._loss(answers, self._labels(self._validation.y))[0]))
            self._context.log(f"{prefix}, validation objective_loss <loss>={loss!r}")
        if not math.isfinite(loss):
            raise DataError(
                _(
                    "the loss is no longer a finite number after epoch {epoch}; use a smaller learning_rate or "
                    "normalize_data true",
                    epoch=number,
                )
            )
        self._context.progress(_READ + (1 - _READ) * (number + 1) / (self._values["epochs"] + 1))
        return loss

    def _normalised(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((X - self._centre) / self._scale).astype(np.float32)

    def _labels(self, y: NDArray[np.float32]) -> Floats:
        return (y.astype(np.float64) - self._y_centre) / self._y_scale

    def _model(self, weights: Weights) -> LinearModel:
        """In the units of the data: what was divided out before is multiplied in."""
        W = weights.W / self._scale[:, None]
        bias = weights.bias - self._centre @ W
        return LinearModel(
            self._kind, loss_of(self._values), W * self._y_scale, bias * self._y_scale + self._y_centre
        )


def _read(context: TrainingContext, channel: str, n_features: int | None) -> TrainingTable:
    values = context.hyperparameters
    table = table_read(context, channel, algorithm="linear-learner", n_features=n_features)
    kind = values["predictor_type"]
    if kind != REGRESSOR:
        _classes_check(table.y, 2 if kind == BINARY else values["num_classes"], channel)
    if channel == "train":
        n_classes = None if kind == REGRESSOR else len(np.unique(table.y))
        context.check(DataFacts(n_rows=len(table.X), n_features=int(table.X.shape[1]), n_classes=n_classes))
    return table


def _classes_check(y: NDArray[np.float32], n: int, channel: str) -> None:
    bad = (y != np.floor(y)) | (y < 0) | (y >= n)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            _(
                "the label {label} is none of the classes 0 to {last}, which are counted from 0; number the classes "
                "from 0, or give a larger num_classes ({channel} channel)",
                label=f"{y[row]:g}",
                last=n - 1,
                channel=channel,
            ),
            row=row + 1,
            value=f"{y[row]:g}",
        )


def _scale(X: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column; 1 for a column that does not vary."""
    centre = X.mean(axis=0, dtype=np.float64)
    deviation = X.std(axis=0, dtype=np.float64)
    return centre, np.where(deviation > 1e-12 * np.maximum(np.abs(centre), 1e-300), deviation, 1.0)


def _row_weights(values: Mapping[str, Any], y: NDArray[np.float32]) -> Floats | None:
    if values["balance_multiclass_weights"] == "true":
        _labels, place, counts = np.unique(y, return_inverse=True, return_counts=True)
        balanced: Floats = (len(y) / (len(counts) * counts))[place]
        return balanced
    positive = values["positive_example_weight_mult"]
    if positive == "balanced":
        n_positive = float((y == 1).sum())
        positive = (len(y) - n_positive) / n_positive
    return None if positive == 1 else np.where(y == 1, float(positive), 1.0)


def _score(
    context: TrainingContext,
    channel: str,
    predictor: LinearPredictor,
    model: LinearModel,
    table: TrainingTable,
) -> None:
    """Logs the scores of all rows of a channel."""
    values = linear_scores(model.predictor_type, predictor.predict(table.X), table.y)
    loss = loss_make(model.loss, context.hyperparameters)
    objective = float(np.mean(loss(model.raw(table.X), table.y.astype(np.float64))[0]))
    quality_log(context, channel, {"objective_loss": objective, **values})
