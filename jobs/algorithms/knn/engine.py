"""k-NN as a training job: sample, project, index, score. The log lines are the managed service's own.

NaN policy: a missing feature or label ends the job with the row and the column; hence the log's `NaNs=0`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, ChannelInput, DataFacts, Predictor, TrainingContext
from jobs.algorithms.knn.artifact import Artifact, Description, artifact_read, artifact_write
from jobs.algorithms.knn.index.neighbour_index import NeighbourIndex
from jobs.algorithms.knn.predictor import KNNPredictor
from jobs.algorithms.knn.preparation import Preparation
from jobs.algorithms.knn.reservoir import Reservoir
from jobs.algorithms.knn.rules import INVERTED, n_lists
from jobs.algorithms.knn.stages import Stages
from jobs.algorithms.metrics_log import metrics_text
from jobs.algorithms.scores import ClassifierScore, RegressorScore, Score
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    from mlplatform.core.tabular.schema import Batch

_POINTS_PER_LIST = 39
"""Below this many rows per cluster faiss calls a clustering too thin."""


class KNN(Algorithm):
    """The engine of `knn`."""

    trains_with = ("numpy.random",)

    def train(self, context: TrainingContext) -> None:
        sampling = _Sampling(context)
        for batch in _rows(context, context.channels["train"]):
            sampling.add(batch)
        artifact = _index(context, sampling)
        if "test" in context.channels:
            _score(context, KNNPredictor(artifact), sampling.stages)
        context.check_stop()
        artifact_write(artifact, context.model_dir)
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        return KNNPredictor(artifact_read(model_dir, n_threads=n_threads))


class _Sampling:
    """One pass over the train channel down to a sample of prepared rows."""

    def __init__(self, context: TrainingContext) -> None:
        self.context = context
        self.channel = context.channels["train"]
        self.values = context.hyperparameters
        self.stages = _stages(context, self.channel.n_rows)
        self.preparation: Preparation | None = None
        self.reservoir: Reservoir | None = None
        self.sample_row: NDArray[np.float32] | None = None
        self.n_batches = 0
        self.started_at = time.time()
        context.log(f"Using per-worker sample size = {self.values['sample_size']}")
        context.log(f"Getting reservoir sample from {context.host}...")

    def add(self, batch: Batch) -> None:
        """Offers the rows of one batch to the sample; only rows that are kept are prepared."""
        if self.reservoir is None or self.preparation is None:
            self._start(batch)
        assert self.reservoir is not None and self.preparation is not None and batch.y is not None
        self.n_batches += 1
        rows, slots = self.reservoir.slots(len(batch.X))
        self.reservoir.put(rows, slots, self.preparation(batch.X[rows]), batch.y[rows])
        if self.channel.n_rows:
            self.context.progress(self.stages.read * min(1.0, self.reservoir.n_seen / self.channel.n_rows))

    def finish(self) -> tuple[Preparation, Reservoir]:
        """The whole sample. Raises DataError without a row, InvalidRequest where the rows are too few."""
        if self.reservoir is None or self.preparation is None:
            raise DataError(_("the train channel has no rows; at least one row is needed"))
        context, reservoir = self.context, self.reservoir
        shape = (len(reservoir), self.preparation.feature_dim)
        context.log(
            f"...Got reservoir sample from {context.host}: data={shape}, labels=({len(reservoir)},), NaNs=0"
        )
        self._throughput()
        self.stages = _stages(context, reservoir.n_seen)
        context.progress(self.stages.read)
        context.check(DataFacts(n_rows=reservoir.n_seen, n_features=self.preparation.feature_dim))
        return self.preparation, reservoir

    def _start(self, batch: Batch) -> None:
        n_features = int(batch.X.shape[1])
        self.context.check(DataFacts(n_features=n_features))
        self.preparation = Preparation.from_values(self.values, n_features=n_features)
        self.reservoir = Reservoir(
            size=self.values["sample_size"],
            n_columns=self.preparation.index_dim,
            seed=self.values["_seed"],
        )
        self.sample_row = batch.X[0].copy()

    def _throughput(self) -> None:
        assert self.reservoir is not None
        context, ended_at = self.context, time.time()
        rate = self.reservoir.n_seen / max(ended_at - self.started_at, 1e-9)
        counts = {"Total Records Seen": self.reservoir.n_seen, "Total Batches Seen": self.n_batches}
        context.log(metrics_text(self.started_at, ended_at, context.host, "training", counts))
        context.log(f"#throughput_metric: host={context.host}, train throughput={rate} records/second")


def _stages(context: TrainingContext, n_train: int | None) -> Stages:
    values = context.hyperparameters
    n_sampled = min(n_train or values["sample_size"], values["sample_size"])
    test = context.channels.get("test")
    return Stages.of(
        n_train=n_train,
        n_test=test.n_rows if test else 0,
        n_lists=n_lists(values, n_sampled) if values["index_type"] in INVERTED else 0,
        values=values,
    )


def _rows(context: TrainingContext, channel: ChannelInput) -> Iterator[Batch]:
    """The channel's batches, each checked for values that have no distance."""
    for batch in channel.batches(context.hyperparameters["mini_batch_size"], require_label=True):
        context.check_stop()
        if len(batch.X) == 0:
            continue
        _require_finite(batch, channel)
        yield batch


def _require_finite(batch: Batch, channel: ChannelInput) -> None:
    """Raises DataError naming the first missing feature."""
    if np.isfinite(batch.X).all():
        return
    row, position = (int(found) for found in np.argwhere(~np.isfinite(batch.X))[0])
    # Without names of its own the data is the service's CSV: the label is c0, features begin at c1.
    names = channel.feature_names
    raise DataError(
        _(
            "the value is missing or not a finite number; k-NN needs a number in every cell "
            "({channel} channel)",
            channel=channel.name,
        ),
        row=batch.first_row + row,
        column=names[position] if names else f"c{position + 1}",
        value=str(batch.X[row, position]),
    )


def _index(context: TrainingContext, sampling: _Sampling) -> Artifact:
    preparation, reservoir = sampling.finish()
    values, stages = context.hyperparameters, sampling.stages
    context.check_stop()
    lists = n_lists(values, len(reservoir))
    _foretell(context, len(reservoir), lists)
    started = time.monotonic()
    context.log("Training index...")

    def on_added(fraction: float) -> None:
        context.check_stop()
        context.progress(stages.adding(fraction))

    index = NeighbourIndex.build(
        reservoir.release(),
        values,
        n_lists=lists,
        n_threads=context.n_threads,
        on_trained=lambda: context.progress(stages.trained),
        on_added=on_added,
    )
    context.log(f"...Finished training index in {round(time.monotonic() - started)} second(s)")
    engine = _engine(context, index)
    context.progress(stages.chosen)
    description = _describe(values, sampling, engine)
    return Artifact(description, preparation, index, reservoir.y, reservoir.rows)


def _foretell(context: TrainingContext, n_rows: int, n_lists: int) -> None:
    """Says how the index is going to be built, where there is something to say."""
    values = context.hyperparameters
    if values["index_type"] not in INVERTED:
        return
    context.log(
        f"Using {n_lists} clusters of which {min(values['_faiss_index_nprobe'], n_lists)} are searched"
    )
    if n_rows < _POINTS_PER_LIST * n_lists:
        context.log(
            f"{n_rows} rows are few for {n_lists} clusters; {_POINTS_PER_LIST * n_lists} or more are recommended",
            level="WARNING",
        )


def _engine(context: TrainingContext, index: NeighbourIndex) -> dict[str, Any] | None:
    """Has an exact index choose how it searches; the log and the model's manifest say which way and why."""
    values = context.hyperparameters
    choice = index.engine_choose(k=values["k"], seed=values["_seed"], check_stop=context.check_stop)
    if choice is None:
        return None
    context.log(f"Exact search: {choice.reason}")
    if choice.measured_ms:
        context.log(f"Measured, in milliseconds: {json.dumps(choice.measured_ms)}")
    context.model_facts({"engine": choice.facts(k=values["k"])})
    return choice.to_json(k=values["k"])


def _describe(values: Any, sampling: _Sampling, engine: dict[str, Any] | None) -> Description:
    assert sampling.reservoir is not None and sampling.sample_row is not None
    names = sampling.channel.feature_names
    return Description(
        k=values["k"],
        predictor_type=values["predictor_type"],
        index_type=values["index_type"],
        index_metric=values["index_metric"],
        nprobe=values["_faiss_index_nprobe"],
        n_samples=len(sampling.reservoir),
        sample_row=[float(str(value)) for value in sampling.sample_row],  # 5.9, not 5.900000095367432
        feature_names=list(names) if names else None,
        ef_search=values["_faiss_index_hnsw_ef_search"],
        row_numbers=True,
        engine=engine,
    )


def _score(context: TrainingContext, predictor: KNNPredictor, stages: Stages) -> None:
    """Scores the test channel and logs it in the service's form."""
    channel = context.channels["test"]
    score: Score = (
        ClassifierScore() if context.hyperparameters["predictor_type"] == "classifier" else RegressorScore()
    )
    context.log("Searching index...")
    n_rows, started = 0, time.monotonic()
    for batch in _rows(context, channel):
        assert batch.y is not None
        score.update(predictor.predict(batch.X)["predicted_label"], batch.y)
        n_rows += len(batch.X)
        if channel.n_rows:
            context.progress(stages.scored(n_rows / channel.n_rows))
    if n_rows == 0:
        raise DataError(_("the test channel has no rows; leave the channel out or give it at least one row"))
    context.log(f"...Done searching index for {n_rows} rows in {round(time.monotonic() - started)} second(s)")
    for name, value in score.values().items():
        context.log(f"#test_score ({context.host}) : ({name!r}, {value!r})")
    for name, value in score.values().items():
        context.log(f"#quality_metric: host={context.host}, test {name} <score>={value!r}")
