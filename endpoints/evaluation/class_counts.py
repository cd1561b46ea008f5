"""How often which label was predicted for which, and the scores that follow, with their intervals. Pure numpy.

Definitions are scikit-learn's (`f1_score`, `precision_recall_fscore_support`, with `zero_division=0`, over the
labels that occur as label or prediction). Variances of averaged F1 scores are those of the delta method on the
multinomial counts, as in Takahashi, Yamamoto, Kuchiba and Koyama, "Confidence interval for micro-averaged F1 and
macro-averaged F1 scores", Applied Intelligence 52, 2022, 4961-4972; the weighted average by the same steps.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.intervals import Interval, f1_interval, score_interval, share_interval

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]
Positions = NDArray[Any]

SCORES: Final = ("accuracy", "f1_weighted", "f1_macro", "f1_micro")
_DENSE_LABELS: Final = 256


class ClassCounts:
    """Counts of n rows.

    Args:
        labels: Positions [n] of the rows' labels, each below `n_labels`.
        predictions: Positions [n] of what was predicted.
    """

    def __init__(self, labels: Positions, predictions: Positions, n_labels: int) -> None:
        self.n_rows = len(labels)
        self._pairs: tuple[Positions, Positions] | None = None
        self.confusion: Counts | None = None
        if n_labels <= _DENSE_LABELS:
            cells = np.bincount(labels.astype(np.intp) * n_labels + predictions, minlength=n_labels**2)
            self.confusion = cells.reshape(n_labels, n_labels)
            self.support: Counts = self.confusion.sum(axis=1)
            self.predicted: Counts = self.confusion.sum(axis=0)
            self.hits: Counts = self.confusion.diagonal()
        else:
            self._pairs = labels, predictions
            self.support = np.bincount(labels, minlength=n_labels)
            self.predicted = np.bincount(predictions, minlength=n_labels)
            self.hits = np.bincount(labels[labels == predictions], minlength=n_labels)
        self._both = np.maximum(self.support + self.predicted, 1)
        self._f1: Shares = 2 * self.hits / self._both

    def scores(self) -> dict[str, float]:
        """By the names of `SCORES`. Micro-averaged F1 is the accuracy where every row has one label."""
        accuracy = int(self.hits.sum()) / self.n_rows
        return {
            "accuracy": accuracy,
            "f1_weighted": float((self._f1 * self.support).sum() / self.n_rows),
            "f1_macro": float(self._f1.sum() / self._n_present),
            "f1_micro": accuracy,
        }

    def intervals(self) -> dict[str, Interval]:
        """Of `scores`, by the same names."""
        scores, n = self.scores(), self.n_rows
        accuracy = share_interval(int(self.hits.sum()), n)
        return {
            "accuracy": accuracy,
            "f1_weighted": score_interval(scores["f1_weighted"], self._weighted_variance(), n),
            "f1_macro": score_interval(scores["f1_macro"], self._macro_variance(), n),
            "f1_micro": accuracy,
        }

    def of_label(self, position: int) -> dict[str, Any]:
        """Precision, recall, F1 and support of one label, with intervals."""
        hits = int(self.hits[position])
        support, predicted = int(self.support[position]), int(self.predicted[position])
        return {
            "precision": hits / predicted if predicted else 0.0,
            "recall": hits / support if support else 0.0,
            "f1": float(self._f1[position]),
            "support": support,
            "intervals": {
                "precision": share_interval(hits, predicted),
                "recall": share_interval(hits, support),
                "f1": f1_interval(hits, support + predicted - 2 * hits),
            },
        }

    @property
    def _n_present(self) -> int:
        return int(np.count_nonzero(self.support + self.predicted))

    def _macro_variance(self) -> float:
        """The average's slope at a row with label i and prediction j, in shares: ([i = j] 2 / d_i - h_i - h_j) / L,
        where d is a label's share as label and as prediction together, and h = F1 / d.
        """
        per_share = self.n_rows / self._both
        return self._variance(0 * self._f1, 2 * per_share, self._f1 * per_share) / self._n_present**2

    def _weighted_variance(self) -> float:
        """F1_i + [i = j] 2 s_i / d_i - s_i h_i - s_j h_j, where s is a label's share as label, its weight."""
        weights = self.support / self._both
        return self._variance(self._f1, 2 * weights, self._f1 * weights)

    def _variance(self, of_label: Shares, of_hit: Shares, of_either: Shares) -> float:
        """That of a mean over rows whose slope is `of_label`[i] + [i = j] `of_hit`[i] - `of_either`[i] -
        `of_either`[j].
        """
        if self.confusion is not None:
            slopes = (of_label - of_either)[:, None] - of_either[None, :]
            slopes[np.diag_indices_from(slopes)] += of_hit
            mean = (self.confusion * slopes).sum() / self.n_rows
            square = (self.confusion * slopes**2).sum() / self.n_rows
        else:
            assert self._pairs is not None
            labels, predictions = self._pairs
            rows = (of_label - of_either)[labels] - of_either[predictions]
            rows += np.where(labels == predictions, of_hit[labels], 0)
            mean, square = rows.mean(), (rows**2).mean()
        return max(0.0, float(square - mean**2)) / self.n_rows
