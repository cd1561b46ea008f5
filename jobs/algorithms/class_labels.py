"""Labels of any numbers as classes 0 … c-1 and back, for libraries that count classes. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class ClassLabels:
    """The labels that a model knows: float32 [c], ascending."""

    values: NDArray[np.float32]

    @classmethod
    def of(cls, y: NDArray[np.float32]) -> ClassLabels:
        """Those that occur in `y`."""
        return cls(np.unique(y))

    @classmethod
    def from_json(cls, values: Sequence[float]) -> ClassLabels:
        return cls(np.asarray(values, np.float32))

    def to_json(self) -> list[float]:
        return [float(str(value)) for value in self.values]

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, y: NDArray[np.float32], *, channel: str) -> NDArray[np.int32]:
        """The class of each label, int32 [n]. Raises DataError with the first row whose label is another."""
        found = np.searchsorted(self.values, y).clip(0, len(self.values) - 1)
        unknown = self.values[found] != y
        if unknown.any():
            row = int(unknown.argmax())
            raise DataError(
                _(
                    "the label {label} does not occur in the train channel ({channel} channel)",
                    label=f"{y[row]:g}",
                    channel=channel,
                ),
                row=row + 1,
                value=f"{y[row]:g}",
            )
        return found.astype(np.int32)

    def decode(self, classes: NDArray[np.integer]) -> NDArray[np.float32]:
        """The label of each class, float32 [n]."""
        labels: NDArray[np.float32] = self.values[classes]
        return labels
