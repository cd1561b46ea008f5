"""A member's training as its own engine knows it: a job within the job, on rows that are in memory already.

The engines of the members do not know of ensembles: they see a `TrainingContext` with one channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import ChannelInput, DataFacts, TrainingContext
from jobs.algorithms.ensemble.members import Member, member_field
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.tabular.schema import Batch


@dataclass(frozen=True)
class Rows:
    """A channel of rows in memory, which satisfies `ChannelInput`.

    Args:
        X: float32 [n, d].
        y: float32 [n].
    """

    X: NDArray[np.float32]
    y: NDArray[np.float32]
    feature_names: tuple[str, ...] | None
    name: str = "train"

    @property
    def n_rows(self) -> int | None:
        return len(self.X)

    def batches(self, batch_rows: int, *, require_label: bool = False) -> Iterator[Batch]:
        for start in range(0, len(self.X), batch_rows):
            rows = slice(start, start + batch_rows)
            yield Batch(X=self.X[rows], y=self.y[rows], first_row=start + 1)


class MemberJob:
    """Satisfies `TrainingContext` for one training of one member."""

    def __init__(
        self,
        job: TrainingContext,
        member: Member,
        *,
        hyperparameters: Mapping[str, Any],
        rows: Rows,
        model_dir: Path,
        share: tuple[float, float],
        is_logged: bool,
    ) -> None:
        """
        Args:
            job: The ensemble's.
            share: Of the ensemble's progress, where this training begins and ends.
            is_logged: Whether the member's log lines are in the ensemble's log, after the member's name.
        """
        model_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.hyperparameters = hyperparameters
        self.channels: Mapping[str, ChannelInput] = {rows.name: rows}
        self.model_dir, self.output_dir = model_dir, job.output_dir
        self.n_threads, self.host = job.n_threads, job.host
        self._job, self._member, self._share, self._is_logged = job, member, share, is_logged

    def log(self, message: str, *, level: str = "INFO") -> None:
        if self._is_logged:
            self._job.log(f"{self._member.name}: {message}", level=level)

    def progress(self, fraction: float) -> None:
        begin, end = self._share
        self._job.progress(begin + (end - begin) * fraction)

    def check(self, facts: DataFacts) -> None:
        """Applies the member's rules; what they refuse is named as the ensemble's user knows it."""
        problems = self._member.spec.rules(self.hyperparameters, facts)
        values = self._job.hyperparameters
        errors = [
            FieldError(f"hyperparameters.{member_field(self._member, name, values)}", message)
            for name, message in problems
        ]
        if errors:
            raise InvalidRequest.for_fields(errors)

    def model_facts(self, facts: Mapping[str, Any]) -> None:
        """Left out: the manifest is about the ensemble."""

    def stop_requested(self) -> bool:
        return self._job.stop_requested()

    def check_stop(self) -> None:
        self._job.check_stop()
