"""kmeans as a training job: pass over the rows, join the centres, score, save.

NaN policy: a missing feature ends the job with its row and column.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, DataFacts, Prediction, Predictor, TrainingContext
from jobs.algorithms.model_files import description_read, description_write
from jobs.algorithms.quality_log import quality_log
from jobs.algorithms.training_table import finite_check, width_check
from mlplatform.core.errors import DataError, InvalidRequest, ModelError
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    from mlplatform.core.tabular.schema import Batch

_NAME: Final = "kmeans"
_FILE: Final = "centres.npz"
_SCORES: Final = ("msd", "ssd")
_BLOCK: Final = 2**20
"""Rows are answered in blocks of so many rows × centres, so that memory stays bounded."""


class KMeans(Algorithm):
    """The engine of `kmeans`."""

    trains_with = ("jobs.algorithms.kmeans.clustering",)

    def train(self, context: TrainingContext) -> None:
        from jobs.algorithms.kmeans.clustering import Clustering

        values = context.hyperparameters
        scores = _scores_asked(values["eval_metrics"])
        clustering, sample_row, n_rows = Clustering(values), None, 0
        for epoch in range(values["epochs"]):
            n_rows = 0
            for batch in _rows(context, "train"):
                if sample_row is None:
                    sample_row = batch.X[0].copy()
                    context.check(DataFacts(n_features=int(batch.X.shape[1])))
                clustering.add(batch.X)
                n_rows += len(batch.X)
            if sample_row is None:
                raise DataError(_("the train channel has no rows; at least one row is needed"))
            context.check(DataFacts(n_rows=n_rows, n_features=len(sample_row)))
            context.log(f"Epoch {epoch}: {n_rows} rows seen")
            context.progress(0.9 * (epoch + 1) / values["epochs"])
        assert sample_row is not None
        predictor = KMeansPredictor(clustering.centres(), sample_row)
        _score(context, predictor, scores)
        context.check_stop()
        np.savez(context.model_dir / _FILE, centres=predictor.centres)
        names = context.channels["train"].feature_names
        content = {
            "k": values["k"],
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
                return KMeansPredictor(arrays["centres"], np.asarray(description["sample_row"], np.float32))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(f"The model's file {_FILE} cannot be read: {error}") from error


class KMeansPredictor(Predictor):
    """Answers `closest_cluster` and `distance_to_cluster`."""

    def __init__(self, centres: NDArray[np.float64], sample_row: NDArray[np.float32]) -> None:
        self.n_features = int(centres.shape[1])
        self.sample_row = sample_row
        self.centres = centres
        self._lengths = np.einsum("ij,ij->i", centres, centres)

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`.

        Returns:
            `closest_cluster` float32 [n], from 0, and `distance_to_cluster` float32 [n], Euclidean, from its centre.
        """
        self.columns_check(X)
        n_rows = max(1, _BLOCK // len(self.centres))
        starts = range(0, max(1, len(X)), n_rows)  # no rows are one empty block
        blocks = [self._block(X[start : start + n_rows].astype(np.float64)) for start in starts]
        closest, squares = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
        return {
            "closest_cluster": closest.astype(np.float32),
            "distance_to_cluster": np.sqrt(squares).astype(np.float32),
        }

    def _block(self, X: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        closest = (self._lengths - 2 * (X @ self.centres.T)).argmin(axis=1)
        difference = X - self.centres[closest]  # for the distance itself, without cancellation
        return closest, np.einsum("ij,ij->i", difference, difference)


def _rows(context: TrainingContext, channel_name: str, n_features: int | None = None) -> Iterator[Batch]:
    channel = context.channels[channel_name]
    for batch in channel.batches(context.hyperparameters["mini_batch_size"]):
        context.check_stop()
        if len(batch.X) == 0:
            continue
        width_check(batch, channel, n_features)
        finite_check(batch, channel, algorithm=_NAME)
        yield batch


def _scores_asked(text: str) -> list[str]:
    """Raises InvalidRequest for what is no list of scores."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(name in _SCORES for name in found):
        raise InvalidRequest.for_field(
            "hyperparameters.eval_metrics",
            _("{value} is not accepted; use a list such as {example}", value=text, example='["msd", "ssd"]'),
        )
    return found


def _score(context: TrainingContext, predictor: KMeansPredictor, names: list[str]) -> None:
    if "test" not in context.channels:
        return
    n_rows, total = 0, 0.0
    for batch in _rows(context, "test", predictor.n_features):
        distances = predictor.predict(batch.X)["distance_to_cluster"].astype(np.float64)
        n_rows, total = n_rows + len(distances), total + float(distances @ distances)
    if n_rows == 0:
        raise DataError(_("the test channel has no rows; leave the channel out or give it at least one row"))
    values = {"msd": total / n_rows, "ssd": total}
    for name in names:
        context.log(f"#test_score ({context.host}) : ({name!r}, {values[name]!r})")
    quality_log(context, "test", {name: values[name] for name in names})
