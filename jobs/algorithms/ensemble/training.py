"""The trainings of all members: for every fold, and once on all rows. Cross-validated answers and their scores."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import TrainingContext
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.ensemble.answers import Floats, answer, answer_scores
from jobs.algorithms.ensemble.blending import Blend, blend_mean, blend_stacked, blend_weighted
from jobs.algorithms.ensemble.folds import folds_draw
from jobs.algorithms.ensemble.member_job import MemberJob, Rows
from jobs.algorithms.ensemble.members import Member, member_values
from jobs.algorithms.ensemble.rules import weights_parse
from jobs.algorithms.quality_log import quality_log

_READ: Final = 0.05
_TRAINED: Final = 0.98
"""Shares of the progress at which reading and training end."""


class Trainings:
    """All trainings of a job, on the same rows.

    Args:
        members: In the order of their answers.
        rows: All of the train channel; of a classification, with classes as numbers from 0.
        labels: The classes; None for a regression.
    """

    def __init__(
        self, context: TrainingContext, members: Sequence[Member], rows: Rows, labels: ClassLabels | None
    ) -> None:
        self._context, self._members, self._rows, self._labels = context, members, rows, labels
        self._n_classes = None if labels is None else len(labels)
        self._n_folds = int(context.hyperparameters["n_folds"])
        self._n_done = 0

    def cross_validate(self) -> tuple[list[Floats], NDArray[np.int64]]:
        """Every member's answers on rows that it had not seen, float64 [n, c] each, and the fold of each row."""
        seed = self._context.hyperparameters["seed"]
        folds = folds_draw(self._rows.y, n_folds=self._n_folds, seed=seed, labels=self._labels)
        answers = [np.empty((len(folds), self._n_classes or 1)) for _member in self._members]
        for fold in range(self._n_folds):
            held_out = folds == fold
            y = self._rows.y[held_out]
            X = self._rows.X[held_out]
            rows = Rows(self._rows.X[~held_out], self._rows.y[~held_out], self._rows.feature_names)
            for position, member in enumerate(self._members):
                with tempfile.TemporaryDirectory(prefix="fold-") as folder:
                    self._train(position, rows, Path(folder), is_logged=False)
                    predictor = member.spec.engine_load().load(
                        Path(folder), n_threads=self._context.n_threads
                    )
                    answers[position][held_out] = answer(predictor, X, self._n_classes)
                scores = answer_scores(answers[position][held_out], y, self._labels)
                listed = ", ".join(f"{name}={value:.6g}" for name, value in scores.items())
                self._context.log(f"Fold {fold + 1} of {self._n_folds}: {member.name} {listed}")
        return answers, folds

    def blend(self, answers: Sequence[Floats], y: NDArray[np.float32]) -> Blend:
        """How the answers become one, by what they are on rows that nobody had seen."""
        values = self._context.hyperparameters
        if values["blend"] == "mean":
            return blend_mean(len(self._members))
        if values["blend"] == "stacked":
            return blend_stacked(answers, y)
        return Blend(weights_parse(values["weights"])) if values["weights"] else blend_weighted(answers, y)

    def score(self, answers: Sequence[Floats], folds: NDArray[np.int64]) -> dict[str, dict[str, float]]:
        """Logs and returns the cross-validated scores, by member and `blend`.

        The blend of a fold is learned on the others, so that its score is of rows that nothing was learned from.
        """
        y, blended = self._rows.y, np.empty_like(answers[0])
        for fold in range(self._n_folds):
            held_out = folds == fold
            blend = self.blend([one[~held_out] for one in answers], y[~held_out])
            blended[held_out] = blend([one[held_out] for one in answers])
        found: dict[str, dict[str, float]] = {}
        for member, one in zip(self._members, answers, strict=True):
            found[member.name] = answer_scores(one, y, self._labels)
            quality_log(self._context, f"cv:{member.name}", found[member.name])
        found["blend"] = answer_scores(blended, y, self._labels)
        quality_log(self._context, "cv", found["blend"])
        return found

    def train_all(self, folders: Sequence[Path]) -> None:
        """Trains every member on all rows, into its folder."""
        for position, folder in enumerate(folders):
            self._train(position, self._rows, folder, is_logged=True)

    def _train(self, position: int, rows: Rows, folder: Path, *, is_logged: bool) -> None:
        self._context.check_stop()
        member = self._members[position]
        step = (_TRAINED - _READ) / (len(self._members) * (self._n_folds + 1))
        begin = _READ + step * self._n_done
        job = MemberJob(
            self._context,
            member,
            hyperparameters=member_values(member, self._context.hyperparameters, n_classes=self._n_classes),
            rows=rows,
            model_dir=folder,
            share=(begin, begin + step),
            is_logged=is_logged,
        )
        member.spec.engine_load().train(job)
        self._n_done += 1
