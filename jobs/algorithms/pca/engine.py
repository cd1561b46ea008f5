"""pca as a training job: one pass over the rows, the components, save.

NaN policy: a missing feature ends the job with its row and column.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, DataFacts, Prediction, Predictor, TrainingContext
from jobs.algorithms.model_files import description_read, description_write
from jobs.algorithms.pca.components import Components, CovarianceSum, directions_draw
from jobs.algorithms.quality_log import quality_log
from jobs.algorithms.training_table import finite_check, width_check
from mlplatform.core.errors import DataError, ModelError
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    from mlplatform.core.tabular.schema import Batch

_NAME: Final = "pca"
_FILE: Final = "components.npz"


class PCA(Algorithm):
    """The engine of `pca`."""

    def train(self, context: TrainingContext) -> None:
        values = context.hyperparameters
        total, sample_row = None, None
        for batch in _rows(context, "train"):
            if total is None:
                context.check(DataFacts(n_features=int(batch.X.shape[1])))
                sample_row, total = batch.X[0].copy(), _begin(values, batch)
            total.add(batch.X)
            if context.channels["train"].n_rows:
                context.progress(0.8 * min(1.0, total.n / context.channels["train"].n_rows))
        if total is None or sample_row is None:
            raise DataError(_("the train channel has no rows; at least one row is needed"))
        context.check(DataFacts(n_rows=total.n, n_features=len(sample_row)))
        components = total.components(
            values["num_components"], subtract_mean=values["subtract_mean"] == "true"
        )
        predictor = PCAPredictor(components, sample_row)
        _score(context, predictor)
        context.check_stop()
        np.savez(
            context.model_dir / _FILE,
            mean=components.mean,
            vectors=components.vectors,
            deviations=components.deviations,
        )
        names = context.channels["train"].feature_names
        content = {
            "n_features": predictor.n_features,
            "feature_names": list(names) if names else None,
            "sample_row": [float(str(value)) for value in sample_row],
        }
        description_write(context.model_dir, algorithm=_NAME, content=content)
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        description = description_read(model_dir, algorithm=_NAME)
        try:
            with np.load(model_dir / _FILE, allow_pickle=False) as arrays:
                components = Components(arrays["mean"], arrays["vectors"], arrays["deviations"])
            return PCAPredictor(components, np.asarray(description["sample_row"], np.float32))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(f"The model's file {_FILE} cannot be read: {error}") from error


class PCAPredictor(Predictor):
    """Answers `projection`."""

    def __init__(self, components: Components, sample_row: NDArray[np.float32]) -> None:
        self.n_features = len(components.mean)
        self.sample_row = sample_row
        self.components = components

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`.

        Returns:
            `projection` float32 [n, num_components], the component that keeps most first; summed in float64.
        """
        self.columns_check(X)
        centred = X - self.components.mean
        # Not a matrix product, which rounds a row otherwise in a batch than alone: 0 may then not be 0.
        projection = np.einsum("ij,jk->ik", centred, self.components.vectors)
        return {"projection": projection.astype(np.float32)}


def _begin(given: Mapping[str, Any], batch: Batch) -> CovarianceSum:
    n_features = int(batch.X.shape[1])
    directions = None
    if given["algorithm_mode"] == "randomized":
        directions = directions_draw(
            n_features, given["num_components"], given["extra_components"], given["_seed"]
        )
    shift = (
        batch.X.mean(axis=0, dtype=np.float64) if given["subtract_mean"] == "true" else np.zeros(n_features)
    )
    return CovarianceSum(shift, directions)


def _rows(context: TrainingContext, channel_name: str, n_features: int | None = None) -> Iterator[Batch]:
    channel = context.channels[channel_name]
    for batch in channel.batches(context.hyperparameters["mini_batch_size"]):
        context.check_stop()
        if len(batch.X) == 0:
            continue
        width_check(batch, channel, n_features)
        finite_check(batch, channel, algorithm=_NAME)
        yield batch


def _score(context: TrainingContext, predictor: PCAPredictor) -> None:
    """Logs the share of the test rows' squared distance from the mean that the components keep."""
    if "test" not in context.channels:
        return
    kept = total = 0.0
    for batch in _rows(context, "test", predictor.n_features):
        kept += float(np.square(predictor.predict(batch.X)["projection"], dtype=np.float64).sum())
        total += float(np.square(batch.X - predictor.components.mean).sum())
    quality_log(context, "test", {"explained_variance": kept / total if total else 1.0})
