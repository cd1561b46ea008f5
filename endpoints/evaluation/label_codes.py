"""Numbers labels by their name, so that a table's labels and a model's can be compared whatever their codes are.

Both come as float32 codes; a name stands at one position, whoever used it first. Positions up to 65,534, so that an
array of them is uint16.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.labels import LabelNames
from mlplatform.core.text import text as _

Floats = NDArray[np.float32]
Positions = NDArray[np.uint16]

NO_LABEL: Final = 65_535
"""The position of a row without a label."""
SHOWN_CHARACTERS: Final = 80


class LabelCodes:
    """The labels met so far.

    Args:
        labelled: Names of the table's codes.
        predicted: Names of the model's codes.

    Attributes:
        names: By position, in the order in which they were met.
    """

    def __init__(self, labelled: LabelNames, predicted: LabelNames) -> None:
        self.names: list[str] = []
        self._positions: dict[str, int] = {}
        self._labelled = _Coding(labelled, self._position)
        self._predicted = _Coding(predicted, self._position)

    def labelled(self, codes: Floats) -> Positions:
        """Positions of a table's codes, NO_LABEL for NaN. Raises RunFailed for too many different labels."""
        positions = np.full(codes.shape, NO_LABEL, np.uint16)
        known = ~np.isnan(codes)
        positions[known] = self._labelled.positions_of(codes[known])
        return positions

    def predicted(self, codes: Floats) -> Positions:
        """Positions of a model's codes, which must be finite. Raises RunFailed for too many different labels."""
        return self._predicted.positions_of(codes)

    def predicted_ranks(self, codes: Floats) -> tuple[NDArray[np.intp], Positions]:
        """A model's codes as ranks by value among all that it has answered so far, and the position of each rank."""
        ranks = self._predicted.ranks_of(codes)
        return ranks, self._predicted.positions

    @property
    def answered(self) -> frozenset[int]:
        """Positions of all labels that the model has answered."""
        return frozenset(self._predicted.positions.tolist())

    def order(self) -> NDArray[np.intp]:
        """Positions as they are shown: numbers by value, then texts by spelling."""
        return np.array(sorted(range(len(self.names)), key=lambda at: _sort_key(self.names[at])), np.intp)

    def _position(self, name: str) -> int:
        found = self._positions.setdefault(name, len(self.names))
        if found == len(self.names):
            if found == NO_LABEL:
                raise RunFailed(_("There are more than {n} different labels", n=NO_LABEL))
            self.names.append(name)
        return found


class _Coding:
    """The codes that one side uses, by value, and their positions."""

    def __init__(self, names: LabelNames, position: Callable[[str], int]) -> None:
        self._names = names
        self._position = position
        self._values = np.empty(0, np.float32)
        self.positions = np.empty(0, np.uint16)

    def positions_of(self, codes: Floats) -> Positions:
        ranks = self.ranks_of(codes)
        return self.positions[ranks] if codes.size else np.empty(codes.shape, np.uint16)

    def ranks_of(self, codes: Floats) -> NDArray[np.intp]:
        ranks, known = self._find(codes)
        if not known.all():
            self._learn(np.unique(codes[~known]))
            ranks, known = self._find(codes)
        return ranks

    def _find(self, codes: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        if not len(self._values):
            return np.zeros(codes.shape, np.intp), np.zeros(codes.shape, np.bool_)
        ranks = np.searchsorted(self._values, codes)
        ranks[ranks == len(self._values)] = 0
        return ranks, self._values[ranks] == codes

    def _learn(self, values: Floats) -> None:
        positions = [self._position(self._names.name(float(value))) for value in values]
        places = np.searchsorted(self._values, values)
        self._values = np.insert(self._values, places, values)
        self.positions = np.insert(self.positions, places, np.array(positions, np.uint16))


def names_shown(names: list[str]) -> list[str]:
    """Names of at most about 80 characters each, still all different."""
    shown: dict[str, None] = {}
    for name in names:
        short = name if len(name) <= SHOWN_CHARACTERS else name[: SHOWN_CHARACTERS - 1] + "…"
        candidate, n = short, 1
        while candidate in shown:
            n += 1
            candidate = f"{short} ({n})"
        shown[candidate] = None
    return list(shown)


def _sort_key(name: str) -> tuple[Any, ...]:
    try:
        value = float(name)
    except ValueError:
        return 1, 0.0, name
    return (0, value, name) if isfinite(value) else (1, 0.0, name)
