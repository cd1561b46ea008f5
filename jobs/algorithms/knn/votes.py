"""From the neighbours' labels to a prediction: majority vote or mean. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def majority(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The most frequent label of each row of [n, k], every neighbour counting once; the smallest of those
    that tie.

    Sorts each row and measures the runs of equal labels, so it costs O(n · k · log k) however many labels
    there are.
    """
    if labels.shape[1] == 1:
        return labels[:, 0]
    ordered = np.sort(labels, axis=1)
    position = np.arange(labels.shape[1], dtype=np.int32)
    starts = np.zeros(labels.shape, np.int32)
    starts[:, 1:] = np.where(ordered[:, 1:] != ordered[:, :-1], position[1:], 0)
    run = position - np.maximum.accumulate(starts, axis=1)
    longest = run.argmax(axis=1)  # the first of the longest runs, and rows are sorted: the smallest label
    winner: NDArray[np.float32] = ordered[np.arange(len(ordered)), longest]
    return winner


def mean(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean label of each row of [n, k], summed in float64."""
    means: NDArray[np.float32] = labels.mean(axis=1, dtype=np.float64).astype(np.float32)
    return means
