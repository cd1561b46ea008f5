"""Which fold a row is in: as many rows in each as possible, and of each label too. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.class_labels import ClassLabels
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _


def folds_draw(
    y: NDArray[np.float32], *, n_folds: int, seed: int, labels: ClassLabels | None
) -> NDArray[np.int64]:
    """The fold of each row, int64 [n].

    Args:
        y: float32 [n]; of a classification, classes as numbers from 0.
        labels: Whose rows are spread evenly over the folds; None for a regression.

    Raises:
        DataError: A label has one row only, so that nothing could be learned of it where that is left out.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    if labels is not None:
        counts = np.bincount(y.astype(np.intp), minlength=len(labels))
        if (counts == 1).any():
            label = labels.values[int((counts == 1).argmax())]
            raise DataError(
                _(
                    "the label {label} has one row only; cross-validation needs two or more of every label, "
                    "or n_folds 0",
                    label=f"{label:g}",
                )
            )
        order = order[np.argsort(y[order], kind="stable")]
    folds = np.empty(len(y), np.int64)
    folds[order] = np.arange(len(y)) % n_folds
    return folds
