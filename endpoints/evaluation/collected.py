"""Takes in what an endpoint answers, batch by batch, as predictions for every k. Scores are made of it afterwards.

Classes and values differ only in what is kept of an answer: positions of labels and votes, or numbers and means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.answers import Answered, Floats
from endpoints.evaluation.by_k import means_by_k, votes_by_k
from endpoints.evaluation.label_codes import NO_LABEL, LabelCodes
from endpoints.evaluation.planes import Planes, planes_possible

PLANES_FILE = "planes"


@dataclass(frozen=True)
class Axis:
    """The k that are scored.

    Args:
        n_k: The largest.
        n_neighbours: That the endpoint answers: the model's own k.
    """

    n_k: int
    n_neighbours: int


class Collected(ABC):
    """Labels and predictions of n rows.

    Args:
        axis: None where the endpoint answers no neighbours.
        folder: Where what is too much for memory may lie.

    Attributes:
        labels: [n]; what a row has without a label is `has_label`'s to say.
        own: [n], the endpoint's own predictions.
        planes: By k from 1; None without an axis, or when a batch came without neighbours. At the model's own k
            they are the endpoint's own predictions.
        is_cut: Whether there was room for fewer k than the axis has.
        n_contradictions: Rows whose own prediction is not what all of their neighbours say.
    """

    _dtype: type[np.uint16] | type[np.float32]

    def __init__(self, labels: NDArray[Any], axis: Axis | None, folder: Path) -> None:
        self.labels = labels
        self.n_rows = len(labels)
        self.own: NDArray[Any] = np.zeros(self.n_rows, self._dtype)
        self.n_neighbours = axis.n_neighbours if axis else None
        self.planes: Planes | None = None
        self.is_cut = False
        self.n_contradictions = 0
        if axis is not None:
            n_k = min(axis.n_k, planes_possible(self.n_rows, np.dtype(self._dtype).itemsize))
            self.is_cut = n_k < axis.n_k
            self.planes = Planes(folder / PLANES_FILE, n_k=n_k, n_rows=self.n_rows, dtype=self._dtype)

    @property
    @abstractmethod
    def has_label(self) -> NDArray[np.bool_]:
        """bool [n]."""

    def add(self, first: int, answered: Answered) -> None:
        """The answer for rows from `first` on, counted from 0. Raises RunFailed for too many different labels."""
        own = self._own(answered.own)
        self.own[first : first + len(own)] = own
        if self.planes is None:
            return
        neighbours = answered.neighbours
        if neighbours is None or neighbours.shape[1] != self.n_neighbours:
            self.planes = None
            return
        by_k = self._by_k(neighbours, len(self.planes))
        if len(by_k) == self.n_neighbours:
            self.n_contradictions += self._n_differing(own, by_k[-1])
            by_k[-1] = own
        self.planes.put(first, by_k)

    @abstractmethod
    def _own(self, predictions: Floats) -> NDArray[Any]:
        """[n], as kept."""

    @abstractmethod
    def _by_k(self, neighbours: Floats, n_k: int) -> NDArray[Any]:
        """[n, K] → [n_k, n], as kept."""

    @abstractmethod
    def _n_differing(self, own: NDArray[Any], found: NDArray[Any]) -> int: ...


class CollectedClasses(Collected):
    """Positions of labels in `codes.names`, uint16."""

    _dtype = np.uint16

    def __init__(
        self, labels: NDArray[np.uint16], codes: LabelCodes, axis: Axis | None, folder: Path
    ) -> None:
        super().__init__(labels, axis, folder)
        self.codes = codes

    @property
    def has_label(self) -> NDArray[np.bool_]:
        return np.asarray(self.labels != NO_LABEL)

    def _own(self, predictions: Floats) -> NDArray[np.uint16]:
        return self.codes.predicted(predictions)

    def _by_k(self, neighbours: Floats, n_k: int) -> NDArray[np.uint16]:
        ranks, positions = self.codes.predicted_ranks(neighbours)
        return positions[votes_by_k(ranks[:, :n_k], len(positions))]

    def _n_differing(self, own: NDArray[Any], found: NDArray[Any]) -> int:
        return int(np.count_nonzero(own != found))


class CollectedValues(Collected):
    """Values, float32."""

    _dtype = np.float32

    @property
    def has_label(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.labels))

    def _own(self, predictions: Floats) -> Floats:
        return predictions

    def _by_k(self, neighbours: Floats, n_k: int) -> Floats:
        return means_by_k(neighbours[:, :n_k])

    def _n_differing(self, own: NDArray[Any], found: NDArray[Any]) -> int:
        return int(np.count_nonzero(~np.isclose(own, found, rtol=1e-4, atol=1e-6)))
