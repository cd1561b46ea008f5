"""The trainings of all members: for every fold, and once on all rows. Cross-validated answers and their scores."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import TrainingContext
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.ensemble.answers import Floats, answer, answer_scores
from jobs.algorithms.ensemble.blending import Blend, blend_mean, blend_stacked, blend_weighted
from jobs.algorithms.ensemble.fits import Fit, FitJob, fits_run
from jobs.algorithms.ensemble.folds import folds_draw
from jobs.algorithms.ensemble.member_job import MemberJob, Rows
from jobs.algorithms.ensemble.members import Member, member_values
from jobs.algorithms.ensemble.rules import weights_parse
from jobs.algorithms.quality_log import quality_log

_READ: Final = 0.05
_TRAINED: Final = 0.98
"""Shares of the progress at which reading and training end."""


class Trainings:
    """All trainings of a job, on the same rows: of a fold all members, then the next, at last all rows.

    Used in a `with` statement, in which they run.

    Args:
        members: In the order of their answers.
        rows: All of the train channel; of a classification, with classes as numbers from 0.
        labels: The classes; None for a regression.
        folders: Where the members that are trained on all rows are written.
    """

    def __init__(
        self,
        context: TrainingContext,
        members: Sequence[Member],
        rows: Rows,
        labels: ClassLabels | None,
        *,
        folders: Sequence[Path],
    ) -> None:
        self._context, self._members, self._rows, self._labels = context, members, rows, labels
        self._n_classes = None if labels is None else len(labels)
        self._n_folds = int(context.hyperparameters["n_folds"])
        self._folders = folders
        self._stack = ExitStack()

    def __enter__(self) -> Trainings:
        seed = self._context.hyperparameters["seed"]
        self._folds = np.empty(0, np.int64)
        if self._n_folds:
            self._folds = folds_draw(self._rows.y, n_folds=self._n_folds, seed=seed, labels=self._labels)
        fits = [
            Fit(member.kind, partial(self._answers_of_fold, fold, member))
            for fold in range(self._n_folds)
            for member in self._members
        ]
        fits += [
            Fit(member.kind, partial(self._train_all, member, folder))
            for member, folder in zip(self._members, self._folders, strict=True)
        ]
        self._results = self._stack.enter_context(
            fits_run(self._context, fits, n_values=self._rows.X.size, share=(_READ, _TRAINED))
        )
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def cross_validate(self) -> list[Floats]:
        """Every member's answers on rows that it had not seen, float64 [n, c] each."""
        answers = [np.empty((len(self._folds), self._n_classes or 1)) for _member in self._members]
        for fold in range(self._n_folds):
            held_out = self._folds == fold
            for member, found in zip(self._members, answers, strict=True):
                found[held_out] = next(self._results)
                scores = answer_scores(found[held_out], self._rows.y[held_out], self._labels)
                listed = ", ".join(f"{name}={value:.6g}" for name, value in scores.items())
                self._context.log(f"Fold {fold + 1} of {self._n_folds}: {member.name} {listed}")
        return answers

    def blend(self, answers: Sequence[Floats], y: NDArray[np.float32]) -> Blend:
        """How the answers become one, by what they are on rows that nobody had seen."""
        values = self._context.hyperparameters
        if values["blend"] == "mean":
            return blend_mean(len(self._members))
        if values["blend"] == "stacked":
            return blend_stacked(answers, y)
        return Blend(weights_parse(values["weights"])) if values["weights"] else blend_weighted(answers, y)

    def score(self, answers: Sequence[Floats]) -> dict[str, dict[str, float]]:
        """Logs and returns the cross-validated scores, by member and `blend`.

        The blend of a fold is learned on the others, so that its score is of rows that nothing was learned from.
        """
        y, blended = self._rows.y, np.empty_like(answers[0])
        for fold in range(self._n_folds):
            held_out = self._folds == fold
            blend = self.blend([one[~held_out] for one in answers], y[~held_out])
            blended[held_out] = blend([one[held_out] for one in answers])
        found: dict[str, dict[str, float]] = {}
        for member, one in zip(self._members, answers, strict=True):
            found[member.name] = answer_scores(one, y, self._labels)
            quality_log(self._context, f"cv:{member.name}", found[member.name])
        found["blend"] = answer_scores(blended, y, self._labels)
        quality_log(self._context, "cv", found["blend"])
        return found

    def train_all(self) -> None:
        """Has every member trained on all rows; call last."""
        for _result in self._results:
            continue

    def _answers_of_fold(self, fold: int, member: Member, job: FitJob) -> Floats:
        """Learns from the rows of the other folds."""
        held_out = self._folds == fold
        rows = replace(self._rows, chosen=np.flatnonzero(~held_out))
        with tempfile.TemporaryDirectory(prefix="fold-") as folder:
            self._train(member, rows, Path(folder), job, is_logged=False)
            predictor = member.spec.engine_load().load(Path(folder), n_threads=job.n_threads)
            return answer(predictor, self._rows.X[held_out], self._n_classes)

    def _train_all(self, member: Member, folder: Path, job: FitJob) -> None:
        self._train(member, self._rows, folder, job, is_logged=True)

    def _train(self, member: Member, rows: Rows, folder: Path, job: FitJob, *, is_logged: bool) -> None:
        job.check_stop()
        values = member_values(member, self._context.hyperparameters, n_classes=self._n_classes)
        member.spec.engine_load().train(
            MemberJob(job, member, hyperparameters=values, rows=rows, model_dir=folder, is_logged=is_logged)
        )
        job.progress(1.0)
