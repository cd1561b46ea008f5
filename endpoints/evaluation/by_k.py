"""What a k-NN model would answer for every k from 1 to K, from the labels of its K nearest neighbours. Pure numpy.

The first k neighbours of a row vote for every k at once: a neighbour's label counts one more, and the winner can only
change to that label. So it costs O(n · K) and not K times the cost of one vote.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.integer]
Floats = NDArray[np.float32]

_WIDTH_MAX: Final = 256
"""Counters per row that are still cheaper than sorting the row."""
_BLOCK_COUNTERS: Final = 2**19
"""Rows are taken in blocks of about that many neighbours or counters: memory is bounded, and stays in the cache."""


def votes_by_k(ranks: Ranks, n_labels: int) -> NDArray[np.uint16]:
    """The majority label among the first k neighbours, for k = 1 … K; of those that tie the smallest.

    Args:
        ranks: int [n, K], labels as positions in sorted order, from 0; nearest neighbour first.
        n_labels: More than the largest rank, at most 65,536.

    Returns:
        uint16 [K, n]. O(n · K) for up to 256 labels or fewer labels than neighbours; else O(n · K · log K).
    """
    n, k = ranks.shape
    winners = np.empty((k, n), np.uint16)
    rows = max(1, _BLOCK_COUNTERS // max(k, min(n_labels, max(k, _WIDTH_MAX))))
    for start in range(0, n, rows):
        block = np.ascontiguousarray(ranks[start : start + rows].T, dtype=np.intp)
        out = winners[:, start : start + rows]
        if n_labels <= max(k, _WIDTH_MAX):
            out[:] = _winners(block, n_labels)
        else:
            places, names = _own_ranks(block)
            out[:] = np.take_along_axis(names, _winners(places, k), axis=0)
    return winners


def means_by_k(labels: Floats) -> Floats:
    """The mean of the first k labels of float32 [n, K], for k = 1 … K, summed in float64: float32 [K, n]."""
    sums = np.cumsum(labels.T, axis=0, dtype=np.float64)
    sums /= np.arange(1, len(sums) + 1)[:, None]
    means: Floats = sums.astype(np.float32)
    return means


def _winners(ranks: NDArray[np.intp], n_labels: int) -> NDArray[np.intp]:
    """intp [K, n] → intp [K, n]. A label with its count is one number, larger for more votes and then for a smaller
    label; the largest so far is the winner so far.
    """
    k, n = ranks.shape
    counts = np.zeros(n * n_labels, np.intp)
    places = ranks + np.arange(n, dtype=np.intp) * n_labels
    votes = np.empty((k, n), np.intp)
    for place, vote in zip(places, votes, strict=True):
        np.take(counts, place, out=vote)
        vote += 1
        counts[place] = vote
    width = 1 << max(n_labels - 1, 1).bit_length()
    votes *= width
    votes += width - 1
    votes -= ranks
    np.maximum.accumulate(votes, axis=0, out=votes)
    votes &= width - 1
    return np.subtract(width - 1, votes, out=votes)


def _own_ranks(ranks: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each row's labels numbered among themselves, in the same order, and what the numbers stand for: both [K, n]."""
    order = np.argsort(ranks, axis=0, kind="stable")
    ordered = np.take_along_axis(ranks, order, axis=0)
    numbers = np.zeros_like(ranks)
    np.cumsum(ordered[1:] != ordered[:-1], axis=0, out=numbers[1:])
    places, names = np.empty_like(ranks), np.zeros_like(ranks)
    np.put_along_axis(places, order, numbers, axis=0)
    np.put_along_axis(names, numbers, ordered, axis=0)
    return places, names
