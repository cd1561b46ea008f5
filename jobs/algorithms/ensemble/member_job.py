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

from jobs.algorithms.base import ChannelInput, DataFacts
from jobs.algorithms.ensemble.fits import FitJob
from jobs.algorithms.ensemble.members import Member, member_field
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.tabular.schema import Batch


@dataclass(frozen=True)
class Rows:
    """A channel of rows in memory, which satisfies `ChannelInput`.

    Args:
        X: float32 [n, d].
        y: float32 [n].
        chosen: Numbers of the rows that it has, int [m]; None: all. They are copied a batch at a time.
    """

    X: NDArray[np.float32]
    y: NDArray[np.float32]
    feature_names: tuple[str, ...] | None
    chosen: NDArray[np.intp] | None = None
    name: str = "train"

    @property
    def n_rows(self) -> int | None:
        return len(self.X if self.chosen is None else self.chosen)

    def batches(self, batch_rows: int, *, require_label: bool = False) -> Iterator[Batch]:
        for start in range(0, self.n_rows or 0, batch_rows):
            rows: Any = slice(start, start + batch_rows)
            if self.chosen is not None:
                rows = self.chosen[rows]
            yield Batch(X=self.X[rows], y=self.y[rows], first_row=start + 1)


class MemberJob:
    """Satisfies `TrainingContext` for one training of one member."""

    def __init__(
        self,
        fit: FitJob,
        member: Member,
        *,
        hyperparameters: Mapping[str, Any],
        rows: Rows,
        model_dir: Path,
        is_logged: bool,
    ) -> None:
        """
        Args:
            is_logged: Whether the member's log lines are in the ensemble's log, after the member's name.
        """
        model_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.hyperparameters = hyperparameters
        self.channels: Mapping[str, ChannelInput] = {rows.name: rows}
        self.model_dir, self.output_dir = model_dir, fit.job.output_dir
        self.n_threads, self.host = fit.n_threads, fit.job.host
        self._fit, self._member, self._is_logged = fit, member, is_logged

    def log(self, message: str, *, level: str = "INFO") -> None:
        if self._is_logged:
            self._fit.log(f"{self._member.name}: {message}", level=level)

    def progress(self, fraction: float) -> None:
        self._fit.progress(fraction)

    def check(self, facts: DataFacts) -> None:
        """Applies the member's rules; what they refuse is named as the ensemble's user knows it."""
        problems = self._member.spec.rules(self.hyperparameters, facts)
        values = self._fit.job.hyperparameters
        errors = [
            FieldError(f"hyperparameters.{member_field(self._member, name, values)}", message)
            for name, message in problems
        ]
        if errors:
            raise InvalidRequest.for_fields(errors)

    def model_facts(self, facts: Mapping[str, Any]) -> None:
        """Left out: the manifest is about the ensemble."""

    def stop_requested(self) -> bool:
        return self._fit.stop_requested()

    def check_stop(self) -> None:
        self._fit.check_stop()
