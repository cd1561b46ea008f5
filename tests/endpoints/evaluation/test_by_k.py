"""Predictions for every k agree with as many single votes, however many labels there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from endpoints.evaluation import by_k
from endpoints.evaluation.by_k import means_by_k, votes_by_k
from jobs.algorithms.knn import votes


def _one_by_one(ranks: np.ndarray) -> np.ndarray:
    """scipy's mode takes the smallest of those that tie, too."""
    return np.stack([stats.mode(ranks[:, :k], axis=1).mode for k in range(1, ranks.shape[1] + 1)])


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 12),
    k=st.integers(1, 20),
    n_labels=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 1000]),
    n_used=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_k_agrees_with_a_vote_of_its_own(n: int, k: int, n_labels: int, n_used: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    used = chance.integers(0, n_labels, n_used)  # few of many labels, so that there are ties and majorities
    ranks = chance.choice(used, (n, k))
    found = votes_by_k(ranks, n_labels)
    assert found.dtype == np.uint16
    assert (found == _one_by_one(ranks)).all()


def test_ties_go_to_the_smallest_label() -> None:
    assert votes_by_k(np.array([[3, 1, 1, 3, 0, 0]]), 4).ravel().tolist() == [3, 1, 1, 1, 1, 0]


def test_the_last_k_is_what_the_model_itself_votes() -> None:
    labels = np.random.default_rng(0).integers(1, 8, (500, 25)).astype(np.float32)
    assert (votes_by_k(labels.astype(int), 8)[-1] == votes.majority(labels)).all()
    assert (means_by_k(labels)[-1] == votes.mean(labels)).all()


@pytest.mark.parametrize("n_labels", [7, 1000])
def test_blocks_do_not_show(n_labels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = np.random.default_rng(1).integers(0, n_labels, (300, 11))
    whole = votes_by_k(ranks, n_labels)
    monkeypatch.setattr(by_k, "_BLOCK_COUNTERS", 2_000)
    assert (votes_by_k(ranks, n_labels) == whole).all()


def test_memory_does_not_grow_with_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """65,536 counters for each of 2,000 rows would be a gigabyte."""
    import tracemalloc

    ranks = np.random.default_rng(2).integers(0, 65_536, (2_000, 50))
    tracemalloc.start()
    votes_by_k(ranks, 65_536)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_means_agree_with_numpy() -> None:
    labels = np.random.default_rng(3).normal(1e6, 1, (40, 30)).astype(np.float32)
    expected = [labels[:, :k].mean(axis=1, dtype=np.float64).astype(np.float32) for k in range(1, 31)]
    assert (means_by_k(labels) == np.stack(expected)).all()
