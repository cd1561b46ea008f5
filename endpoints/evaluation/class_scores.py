"""Scores of a classifier for every k: four averages with intervals, confusion matrices, and a table of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.class_counts import SCORES, ClassCounts, Counts
from endpoints.evaluation.classification import CONFUSION_LABELS_MAX
from endpoints.evaluation.collected import CollectedClasses
from endpoints.evaluation.intervals import CONFIDENCE
from endpoints.evaluation.label_codes import NO_LABEL, names_shown
from endpoints.evaluation.predictions import PredictionsHeader, dtype_for
from endpoints.evaluation.scored import Axes, Scored, pair, planes_of

CELLS_MAX: Final = 50_000
"""Of all confusion matrices together, where every k has one."""
CLASS_ROWS_MAX: Final = 1_000
LABELS_MAX: Final = 1_000


def classes_score(collected: CollectedClasses) -> Scored:
    """Over the rows that have a label; there must be one."""
    return _ClassScores(collected).scored()


class _ClassScores:
    def __init__(self, collected: CollectedClasses) -> None:
        order = collected.codes.order()
        self._places = np.zeros(NO_LABEL + 1, np.uint16)
        self._places[order] = np.arange(len(order))
        self._places[NO_LABEL] = NO_LABEL
        self._names = names_shown([collected.codes.names[position] for position in order])
        self._collected = collected
        self._axes = Axes.of(collected)
        self._labelled = collected.has_label
        self._labels = self._places[collected.labels[self._labelled]]

    def scored(self) -> Scored:
        planes = self._collected.planes
        scores, intervals, matrices = [], [], []
        for plane in planes if planes is not None else [self._collected.own]:
            counts = self._counts(plane)
            scores.append(counts.scores())
            intervals.append(counts.intervals())
            if self._has_all_matrices:
                matrices.append(counts.confusion)
        best = int(np.argmax([each["accuracy"] for each in scores]))
        keyed = self._keyed(best)
        own_scores = keyed[self._own_key].scores()
        own_interval = keyed[self._own_key].intervals()["accuracy"]
        ks = self._axes.ks
        quality = {
            "k": None if ks is None else list(ks),
            **{name: [each[name] for each in scores] for name in SCORES},
            "intervals": {name: [pair(each[name]) for each in intervals] for name in SCORES},
            "confidence": CONFIDENCE,
        }
        summary = {
            "kind": "classification",
            "n_rows": self._collected.n_rows,
            "has_k": ks is not None,
            "k_best": None if ks is None else ks[best],
            "metric": "accuracy",
            "best": scores[best]["accuracy"],
            "best_interval": pair(intervals[best]["accuracy"]),
            "k": self._axes.own,
            "value": own_scores["accuracy"],
            "value_interval": pair(own_interval),
            **{name: own_scores[name] for name in SCORES if name != "accuracy"},
        }
        result = {
            "kind": "classification",
            "quality": quality,
            "labels": self._names if len(self._names) <= LABELS_MAX else [],
            "confusions": self._confusions(matrices, keyed),
            "classes": self._classes(keyed),
        }
        dtype = dtype_for(len(self._names))
        stored = self._axes.stored
        header = PredictionsHeader(
            self._collected.n_rows, len(stored or (0,)), stored, tuple(self._names), dtype
        )
        return Scored(
            summary=summary,
            result=result,
            header=header,
            labels=self._stored(self._collected.labels, dtype),
            planes=self._stored_planes(dtype),
        )

    def _counts(self, plane: NDArray[np.uint16]) -> ClassCounts:
        predictions = plane if self._labelled.all() else plane[self._labelled]
        return ClassCounts(self._labels, self._places[predictions], len(self._names))

    @property
    def _own_key(self) -> str:
        return "" if self._axes.own is None else str(self._axes.own)

    def _keyed(self, best: int) -> dict[str, ClassCounts]:
        """The k that are shown in detail: 1, the best, and the model's own; the last first."""
        found = {self._own_key: self._counts(self._collected.own)}
        if self._axes.ks is not None and self._collected.planes is not None:
            for k in (self._axes.ks[best], 1):
                found.setdefault(str(k), self._counts(self._collected.planes[k - 1]))
        return found

    @property
    def _has_all_matrices(self) -> bool:
        """Whether the matrices of all k are few enough cells."""
        n_labels, ks = len(self._names), self._axes.ks
        return ks is not None and n_labels <= CONFUSION_LABELS_MAX and n_labels**2 * len(ks) <= CELLS_MAX

    def _confusions(self, matrices: list[Counts | None], keyed: dict[str, ClassCounts]) -> dict[str, Any]:
        if len(self._names) > CONFUSION_LABELS_MAX:
            return {}
        found = {str(k): matrix for k, matrix in enumerate(matrices, 1)}
        found |= {key: counts.confusion for key, counts in keyed.items()}
        in_order = sorted(found.items(), key=lambda item: int(item[0] or 0))
        return {key: matrix.tolist() for key, matrix in in_order if matrix is not None}

    def _classes(self, keyed: dict[str, ClassCounts]) -> dict[str, Any]:
        n_tables = CLASS_ROWS_MAX // max(1, len(self._names))
        return {
            key: [
                {"label": name, **_rounded(counts.of_label(position))}
                for position, name in enumerate(self._names)
            ]
            for key, counts in list(keyed.items())[:n_tables]
        }

    def _stored_planes(self, dtype: str) -> Iterator[NDArray[Any]]:
        return (self._stored(plane, dtype) for plane in planes_of(self._collected))

    def _stored(self, positions: NDArray[np.uint16], dtype: str) -> NDArray[Any]:
        """NO_LABEL becomes the largest number of either type."""
        return self._places[positions].astype(f"<{dtype}", casting="unsafe")


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"intervals": {name: pair(interval) for name, interval in row["intervals"].items()}}
