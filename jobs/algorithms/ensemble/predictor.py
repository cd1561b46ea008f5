"""A loaded ensemble: all members are asked, and their answers blended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Prediction, Predictor
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.ensemble.answers import Floats, answer
from jobs.algorithms.ensemble.blending import Blend


class EnsemblePredictor(Predictor):
    """Answers `score`, and `predicted_label` for a classifier; verbose also every member's score."""

    def __init__(
        self,
        members: Mapping[str, Predictor],
        *,
        blend: Blend,
        labels: ClassLabels | None,
        sample_row: NDArray[np.float32] | None,
    ) -> None:
        self.n_features = next(iter(members.values())).n_features
        self.sample_row = sample_row
        self.takes_missing = all(one.takes_missing for one in members.values())
        self._members, self._blend, self._labels = members, blend, labels

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`; a NaN is a missing value, where all members take one.

        Returns:
            `score`: the number float32 [n], the probability of the larger one of two labels float32 [n], or of each of
            several labels float32 [n, c]. A classifier also `predicted_label` float32 [n], the smallest one of a tie.
            Verbose: `<member>_score` of the same form for each member.
        """
        self.columns_check(X)
        n_classes = None if self._labels is None else len(self._labels)
        answers = {name: answer(one, X, n_classes) for name, one in self._members.items()}
        blended = self._blend(list(answers.values()))
        found: Prediction = {"score": _score(blended)}
        if self._labels is not None:
            found["predicted_label"] = self._labels.decode(blended.argmax(axis=1))
        if verbose:
            found |= {f"{name}_score": _score(one) for name, one in answers.items()}
        return found


def _score(answers: Floats) -> NDArray[np.float32]:
    narrow = answers.astype(np.float32)
    return narrow if narrow.shape[1] > 2 else np.ascontiguousarray(narrow[:, -1])
