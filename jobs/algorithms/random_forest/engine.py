"""random-forest as a training job: read, grow tree by tree, save as arrays.

NaN policy: a missing feature or label ends the job with its row and column.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, DataFacts, Prediction, Predictor, TrainingContext
from jobs.algorithms.model_files import description_read, description_write
from jobs.algorithms.random_forest.forest import Forest
from jobs.algorithms.scored_channel import channel_score
from jobs.algorithms.training_table import table_read
from mlplatform.core.errors import DataError, ModelError
from mlplatform.core.text import text as _

_NAME: Final = "random-forest"
_FILE: Final = "forest.npz"
_READ: Final = 0.1
"""Share of the progress that reading is."""
_ARRAYS: Final = ("roots", "children", "feature", "threshold", "value")


class RandomForest(Algorithm):
    """The engine of `random-forest`."""

    trains_with = ("jobs.algorithms.random_forest.growing",)

    def train(self, context: TrainingContext) -> None:
        from jobs.algorithms.random_forest.growing import forest_grow

        values = context.hyperparameters
        is_classifier = values["predictor_type"] == "classifier"
        table = table_read(context, "train", algorithm=_NAME)
        n_classes = len(np.unique(table.y)) if is_classifier else None
        context.check(DataFacts(n_rows=len(table.X), n_features=int(table.X.shape[1]), n_classes=n_classes))
        if values["criterion"] == "poisson" and (table.y < 0).any():
            raise DataError(_("a label is negative; the criterion poisson needs labels of at least 0"))
        context.progress(_READ)

        def on_grown(n_trees: int) -> None:
            context.check_stop()
            context.log(f"Grown {n_trees} of {values['n_estimators']} trees")
            context.progress(_READ + (1 - _READ) * n_trees / (values["n_estimators"] + 1))

        forest = forest_grow(table.X, table.y, values, n_threads=context.n_threads, on_grown=on_grown)
        sample_row = table.sample_row
        assert sample_row is not None, "no value is missing"
        channel_score(
            context,
            ForestPredictor(forest, sample_row),
            channel_name="test",
            algorithm=_NAME,
            is_classifier=is_classifier,
        )
        context.check_stop()
        _write(forest, context.model_dir, sample_row, table.feature_names)
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        description = description_read(model_dir, algorithm=_NAME)
        try:
            with np.load(model_dir / _FILE, allow_pickle=False) as arrays:
                labels = arrays["labels"]
                forest = Forest(
                    **{name: arrays[name] for name in _ARRAYS},
                    labels=labels if len(labels) else None,
                    n_features=description["n_features"],
                    depth=description["depth"],
                )
            return ForestPredictor(forest, description["sample_row"])
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ModelError(f"The model's file {_FILE} cannot be read: {error}") from error


class ForestPredictor(Predictor):
    """Answers `score`, and `predicted_label` for a classifier."""

    def __init__(self, forest: Forest, sample_row: list[float]) -> None:
        self.n_features = forest.n_features
        self.sample_row = np.asarray(sample_row, np.float32)
        self._forest = forest

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`.

        Returns:
            `score`: the number float32 [n], the share of the votes for the larger one of two labels float32 [n], or for
            each of several float32 [n, c]. A classifier also `predicted_label` float32 [n], the smallest one of a tie.
        """
        self.columns_check(X)
        values = self._forest.values(X)
        labels = self._forest.labels
        if labels is None:
            return {"score": values[:, 0].astype(np.float32)}
        score = values[:, 1] if len(labels) == 2 else values
        return {"score": score.astype(np.float32), "predicted_label": labels[values.argmax(axis=1)]}


def _write(
    forest: Forest, model_dir: Path, sample_row: list[float], feature_names: tuple[str, ...] | None
) -> None:
    labels = np.empty(0, np.float32) if forest.labels is None else forest.labels
    np.savez_compressed(model_dir / _FILE, labels=labels, **{name: getattr(forest, name) for name in _ARRAYS})
    content = {
        "predictor_type": "regressor" if forest.labels is None else "classifier",
        "n_features": forest.n_features,
        "n_trees": len(forest.roots),
        "depth": forest.depth,
        "feature_names": list(feature_names) if feature_names else None,
        "sample_row": sample_row,
    }
    description_write(model_dir, algorithm=_NAME, content=content)
