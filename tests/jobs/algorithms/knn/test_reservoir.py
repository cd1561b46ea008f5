"""Reservoir sampling: the right size, uniform, the same however the stream is cut, in constant memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from jobs.algorithms.knn.reservoir import Reservoir


def offer(reservoir: Reservoir, values: np.ndarray) -> None:
    rows, slots = reservoir.slots(len(values))
    reservoir.put(rows, slots, values[rows, None].astype(np.float32), values[rows].astype(np.float32))


def sample(n: int, *, size: int, seed: int, batch: int) -> np.ndarray:
    reservoir = Reservoir(size=size, n_columns=1, seed=seed)
    for start in range(0, n, batch):
        offer(reservoir, np.arange(start, min(n, start + batch)))
    assert np.array_equal(reservoir.X[:, 0], reservoir.y)
    assert np.array_equal(reservoir.rows, reservoir.y + 1), "which row of the stream each one is, from 1"
    return reservoir.y.copy()


@pytest.mark.parametrize("n", [1, 9, 10])
def test_a_stream_that_fits_is_kept_whole_and_in_order(n):
    assert sample(n, size=10, seed=0, batch=3).tolist() == list(range(n))


def test_a_longer_stream_gives_different_rows_of_exactly_that_number():
    drawn = sample(100_000, size=500, seed=1, batch=999)
    assert len(drawn) == len(set(drawn.tolist())) == 500


def test_rows_beyond_the_first_capacity_are_kept():
    drawn = sample(50_000, size=20_000, seed=1, batch=7_000)
    assert len(set(drawn.tolist())) == 20_000


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_the_sample_does_not_depend_on_how_the_stream_is_cut(batch):
    assert np.array_equal(
        sample(1000, size=50, seed=3, batch=batch), sample(1000, size=50, seed=3, batch=333)
    )


def test_another_seed_draws_other_rows():
    assert set(sample(1000, size=50, seed=1, batch=100)) != set(sample(1000, size=50, seed=2, batch=100))


def test_every_row_is_drawn_equally_often():
    n, size, trials = 40, 10, 4000
    counts = np.zeros(n)
    for seed in range(trials):
        counts[sample(n, size=size, seed=seed, batch=6).astype(int)] += 1
    expected = trials * size / n
    # Draws without replacement vary less than a multinomial: scale the statistic by (n - 1) / (n - size).
    statistic = ((counts - expected) ** 2 / expected).sum() * (n - 1) / (n - size)
    assert stats.chi2.sf(statistic, n - 1) > 0.001


def test_memory_does_not_grow_with_the_stream():
    reservoir = Reservoir(size=1000, n_columns=10, seed=0)
    rows = np.zeros((5000, 10), np.float32)

    def offer_rows() -> None:
        chosen, slots = reservoir.slots(len(rows))
        reservoir.put(chosen, slots, rows[chosen], rows[chosen, 0])

    offer_rows()
    tracemalloc.start()
    for _ in range(200):
        offer_rows()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reservoir.n_seen == 1_005_000
    assert peak < 1_000_000


def test_its_rows_can_be_taken_over_without_a_copy():
    reservoir = Reservoir(size=20_000, n_columns=3, seed=0)
    for start in range(0, 9000, 3000):
        rows, slots = reservoir.slots(3000)
        values = np.arange(start, start + 3000, dtype=np.float32)
        reservoir.put(rows, slots, np.repeat(values[:, None], 3, axis=1), values)
    X = reservoir.release()
    assert X.shape == (9000, 3)
    assert X.flags.owndata
    assert X.flags.c_contiguous
    assert np.array_equal(X[:, 0], reservoir.y)
    assert len(reservoir.rows) == 9000


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="0"):
        Reservoir(size=0, n_columns=1, seed=0)
