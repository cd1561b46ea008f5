"""The scores of what was collected, for every k: summary, result, and what goes into predictions.bin.

See docs/formats.md for the members. Of classes in `class_scores`, of values in `value_scores`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from endpoints.evaluation.collected import Collected
from endpoints.evaluation.intervals import OpenInterval
from endpoints.evaluation.predictions import PredictionsHeader


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores as JSON, and the planes of the file.

    Attributes:
        labels: [n], as the header says.
        planes: Per k of the header [n].
    """

    summary: dict[str, Any]
    result: dict[str, Any]
    header: PredictionsHeader
    labels: NDArray[Any]
    planes: Iterator[NDArray[Any]]


@dataclass(frozen=True)
class Axes:
    """Which k there are.

    Attributes:
        ks: 1 … K; None without neighbours.
        own: The model's own k, of which the endpoint's own predictions are; None without neighbours.
    """

    ks: range | None
    own: int | None

    @classmethod
    def of(cls, collected: Collected) -> Axes:
        if collected.planes is None:
            return cls(None, None)
        return cls(range(1, len(collected.planes) + 1), collected.n_neighbours)

    @property
    def stored(self) -> tuple[int, ...] | None:
        """Of which there are predictions: the model's own too where the axis ends before."""
        if self.ks is None or self.own is None:
            return None
        return (*self.ks,) if self.own in self.ks else (*self.ks, self.own)


def planes_of(collected: Collected) -> Iterator[NDArray[Any]]:
    """The predictions for each k of `Axes.stored`."""
    axes = Axes.of(collected)
    if collected.planes is not None:
        yield from collected.planes
    if axes.ks is None or axes.own not in axes.ks:
        yield collected.own


def pair(interval: OpenInterval) -> list[float | None]:
    """An interval as JSON; six digits are more than it is sure of."""
    return [None if end is None else float(f"{end:.6g}") for end in interval]
