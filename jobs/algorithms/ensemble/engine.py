"""ensemble as a training job: read once, cross-validate the members, train them on all rows, blend.

NaN policy: a missing feature is a missing value where all members take one, else it ends the job with its row and
column; a missing label ends the job with its row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Algorithm, DataFacts, Predictor, TrainingContext
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.ensemble.artifact import Description, ensemble_read, ensemble_write, member_folders
from jobs.algorithms.ensemble.member_job import Rows
from jobs.algorithms.ensemble.members import CLASSIFIER, TAKE_MISSING, Member, members_parse
from jobs.algorithms.ensemble.training import Trainings
from jobs.algorithms.scored_channel import channel_score
from jobs.algorithms.training_table import TrainingTable, table_read

_NAME: Final = "ensemble"


class Ensemble(Algorithm):
    """The engine of `ensemble`."""

    def train(self, context: TrainingContext) -> None:
        members = members_parse(context.hyperparameters["members"])
        is_classifier = context.hyperparameters["task"] == CLASSIFIER
        table = _read(context, members)
        labels = ClassLabels.of(table.y) if is_classifier else None
        context.check(
            DataFacts(
                n_rows=len(table.X),
                n_features=int(table.X.shape[1]),
                n_classes=len(labels) if labels is not None else None,
            )
        )
        rows = Rows(table.X, _target(table, labels), table.feature_names)
        description = _train(context, members, rows, labels, sample_row=table.sample_row)
        context.check_stop()
        ensemble_write(description, context.model_dir)
        for channel in ("validation", "test"):
            if channel in context.channels:
                channel_score(
                    context,
                    self.load(context.model_dir, n_threads=context.n_threads),
                    channel_name=channel,
                    algorithm=_without_missing(members) or _NAME,
                    is_classifier=is_classifier,
                    missing=_without_missing(members) is None,
                )
        context.progress(1.0)

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        return ensemble_read(model_dir, n_threads=n_threads)


def _read(context: TrainingContext, members: tuple[Member, ...]) -> TrainingTable:
    strict = _without_missing(members)
    table = table_read(context, "train", algorithm=strict or _NAME, missing=strict is None)
    context.log(f"Read train data once for {len(members)} members: {len(table.X)}x{table.X.shape[1]} matrix")
    return table


def _without_missing(members: tuple[Member, ...]) -> str | None:
    """The first kind that takes no missing value, to name it."""
    return next((member.kind for member in members if member.kind not in TAKE_MISSING), None)


def _target(table: TrainingTable, labels: ClassLabels | None) -> NDArray[np.float32]:
    return table.y if labels is None else labels.encode(table.y, channel="train").astype(np.float32)


def _train(
    context: TrainingContext,
    members: tuple[Member, ...],
    rows: Rows,
    labels: ClassLabels | None,
    *,
    sample_row: list[float] | None,
) -> Description:
    scores: dict[str, dict[str, float]] = {}
    folders = member_folders(members, context.model_dir)
    with Trainings(context, members, rows, labels, folders=folders) as trainings:
        answers = trainings.cross_validate()
        if context.hyperparameters["n_folds"]:
            scores = trainings.score(answers)
        blend = trainings.blend(answers, rows.y)
        weights = {member.name: weight for member, weight in zip(members, blend.weights, strict=True)}
        listed = ", ".join(f"{name} {weight:.6g}" for name, weight in weights.items())
        context.log(f"Blend {context.hyperparameters['blend']}: {listed}, constant {blend.constant:.6g}")
        context.model_facts({"ensemble": {"weights": weights, "cross_validated": scores}})
        trainings.train_all()
    return Description(
        members=members,
        blend=blend,
        labels=labels,
        n_features=int(rows.X.shape[1]),
        feature_names=rows.feature_names,
        sample_row=sample_row,
        cross_validated=scores,
    )
