"""Accuracy, confusion matrix and per-class scores, counted row by row in plain Python. No numpy, no scikit-learn.

Definitions are scikit-learn's (`precision_recall_fscore_support` with `zero_division=0`, `confusion_matrix`); a test
holds them equal. Memory grows with the number of pairs (label, prediction) that occur, not with the rows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

CONFUSION_LABELS_MAX = 100


class ClassificationTally:
    """Counts of (label, prediction) as texts."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[str, str]] = Counter()

    def add(self, label: str, prediction: str) -> None:
        self._pairs[label, prediction] += 1

    @property
    def n_rows(self) -> int:
        return self._pairs.total()

    @property
    def n_correct(self) -> int:
        return sum(count for (label, prediction), count in self._pairs.items() if label == prediction)

    @property
    def labels(self) -> list[str]:
        """All labels that occur as label or prediction, numbers by value and texts by spelling."""
        return sorted({text for pair in self._pairs for text in pair}, key=_order)

    def confusion(self) -> list[list[int]]:
        """A row per label, a column per prediction, in the order of `labels`."""
        labels = self.labels
        return [[self._pairs[label, prediction] for prediction in labels] for label in labels]

    def summary(self) -> dict[str, Any]:
        """As JSON. `confusion` is left out above 100 labels. Ratios are None without rows."""
        labels, n_rows = self.labels, self.n_rows
        labelled, predicted = self._sums()
        classes = [
            {"label": text, **_scores(self._pairs[text, text], labelled[text], predicted[text])}
            for text in labels
        ]
        found: dict[str, Any] = {
            "kind": "classification",
            "n_rows": n_rows,
            "n_correct": self.n_correct,
            "accuracy": self.n_correct / n_rows if n_rows else None,
            "labels": labels,
            "classes": classes,
            "macro": _average(classes, [1] * len(classes)),
            "weighted": _average(classes, [row["support"] for row in classes]),
        }
        if len(labels) <= CONFUSION_LABELS_MAX:
            found["confusion"] = self.confusion()
        return found

    def _sums(self) -> tuple[Counter[str], Counter[str]]:
        labelled: Counter[str] = Counter()
        predicted: Counter[str] = Counter()
        for (label, prediction), count in self._pairs.items():
            labelled[label] += count
            predicted[prediction] += count
        return labelled, predicted


def _scores(n_hits: int, n_labelled: int, n_predicted: int) -> dict[str, Any]:
    precision = n_hits / n_predicted if n_predicted else 0.0
    recall = n_hits / n_labelled if n_labelled else 0.0
    both = n_labelled + n_predicted
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * n_hits / both if both else 0.0,
        "support": n_labelled,
    }


def _average(classes: list[dict[str, Any]], weights: list[int]) -> dict[str, float | None]:
    total = sum(weights)
    return {
        name: sum(row[name] * weight for row, weight in zip(classes, weights, strict=True)) / total
        if total
        else None
        for name in ("precision", "recall", "f1")
    }


def _order(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
