"""Exact search by brute force and by trees: the same answers, whatever the rows are and however they are asked for.

The truth is brute force in float64 over whole numbers, whose squared distances float32 holds exactly, so that
distances and their ties can be compared bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.algorithms.knn.index.choice import EngineChoice, TreePlan
from jobs.algorithms.knn.index.exact import ExactIndex
from jobs.algorithms.knn.index.flat import WIDEST, FlatVectors
from jobs.algorithms.knn.index.tree import ColumnTree


def whole_numbers(n: int, d: int, *, seed: int = 0, spread: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).integers(-spread, spread, (n, d)).astype(np.float32)


def one_hot(n: int, *, seed: int = 0) -> np.ndarray:
    """Three wide columns and 20 of which one is set, as Covertype has them."""
    random = np.random.default_rng(seed)
    wide = random.integers(0, 400, (n, 3))
    return np.hstack([wide, np.eye(20, dtype=int)[random.integers(0, 20, n)]]).astype(np.float32)


def brute_force(X: np.ndarray, Q: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    cost = ((Q[:, None].astype(np.float64) - X[None]) ** 2).sum(2)
    order = np.argsort(cost, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cost, order, 1), order


def tree_over(X: np.ndarray, columns: tuple[int, ...], *, n_extra: int = 8) -> ColumnTree:
    return ColumnTree(FlatVectors.of_rows(np.ascontiguousarray(X)), columns, n_extra=n_extra)


def assert_exact(search: Callable, X: np.ndarray, Q: np.ndarray, k: int) -> None:
    distances, positions = search(np.ascontiguousarray(Q), k)
    expected, order = brute_force(X, Q, k)
    assert np.array_equal(distances, expected)
    assert np.array_equal(positions, order)


@pytest.mark.parametrize("k", [1, 7, 100])
@pytest.mark.parametrize("n_queries", [1, 9, 10, 300])
@pytest.mark.parametrize("columns", [(0, 1, 2), (2,), (0, 1, 2, 5, 9), tuple(range(23))])
def test_a_tree_finds_what_brute_force_finds(columns, n_queries, k):
    X, Q = one_hot(3000), one_hot(n_queries, seed=1)
    assert_exact(tree_over(X, columns).search, X, Q, k)


@pytest.mark.parametrize("shift", [0, 1000])
@pytest.mark.parametrize("k", [1, 30, 99, 100, 400])
def test_brute_force_keeps_the_earlier_of_many_equally_far_rows(k, shift):
    """Whole numbers, once so small that BLAS does not round, once so large that it does."""
    X, Q = (whole_numbers(n, 5, seed=n, spread=2) + np.float32(shift) for n in (6000, 40))
    vectors = FlatVectors.of_rows(X)
    assert_exact(vectors.search, X, Q, k)
    assert_exact(vectors.search, X, Q[:1], k)
    assert_exact(vectors._search_carefully, X, Q[:9], k)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 12, 16, 54, 56, 127, 784])
def test_faiss_computes_what_ranks_neighbours_to_the_bit(d):
    """Else single rows would be searched with more care, and take longer."""
    assert FlatVectors.of_rows(np.ones((3, d), np.float32))._faiss_ranks_alike


@pytest.mark.parametrize("n_queries", [1, 200])
def test_rows_that_are_alike_in_the_trees_columns_are_searched_otherwise(n_queries):
    """The columns outside the tree decide everything: no number of candidates proves anything, up to the last."""
    n = 2 * WIDEST
    X = np.hstack([np.zeros((n, 1)), whole_numbers(n, 4)]).astype(np.float32)
    Q = np.hstack([np.zeros((n_queries, 1)), whole_numbers(n_queries, 4, seed=1)]).astype(np.float32)
    tree = tree_over(X, (0,))
    bounds, _positions = tree.candidates(Q, WIDEST)
    assert (bounds[:, -1] <= 0).all(), "the case is too easy to show anything"
    assert_exact(tree.search, X, Q, 5)


def test_a_row_whose_first_candidates_do_not_do_asks_for_more():
    X = np.hstack([whole_numbers(4000, 2, spread=20), whole_numbers(4000, 3, seed=2, spread=9)])
    Q = X[::40] + np.float32(1)
    tree = tree_over(X, (0, 1), n_extra=2)
    bounds, found = tree.candidates(Q, 12)
    kth = tree._vectors.best(Q, found, 10)[0][:, -1]
    assert (bounds[:, -1] <= kth).mean() > 0.5, "the case is too easy to show anything"
    assert_exact(tree.search, X, Q, 10)


def test_a_neighbour_just_outside_the_first_candidates_is_not_missed():
    """Near rows in the tree's column are far elsewhere; the nearest of all is the first that was not a candidate."""
    k, n_extra = 3, 4
    part = np.arange(1, 31, dtype=np.float32)
    rest = np.full(30, 100, np.float32)
    rest[k + n_extra] = 0
    X, Q = np.column_stack([part, rest]), np.zeros((1, 2), np.float32)
    _, positions = tree_over(X, (0,), n_extra=n_extra).search(Q, k)
    assert positions[0, 0] == k + n_extra
    assert_exact(tree_over(X, (0,), n_extra=n_extra).search, X, Q, k)


@pytest.mark.parametrize("n_queries", [1, 50])
@pytest.mark.parametrize("n_copies", [3, 40, 3000])
@pytest.mark.parametrize("by_tree", [False, True])
def test_of_equal_distances_the_earlier_row_comes_first(by_tree, n_copies, n_queries):
    rows = whole_numbers(30 if n_copies < 100 else 4, 4)
    X = np.tile(rows, (n_copies, 1))
    Q = np.repeat(rows[:1] + 1, n_queries, axis=0)
    search = tree_over(X, (0, 1)).search if by_tree else FlatVectors.of_rows(X).search
    assert_exact(search, X, Q, 20)


@pytest.mark.parametrize("by_tree", [False, True])
def test_rows_that_are_all_equal_come_in_their_order(by_tree):
    X = np.ones((10_000, 3), np.float32)
    search = tree_over(X, (0, 1)).search if by_tree else FlatVectors.of_rows(X).search
    for n_queries in (1, 20):
        distances, positions = search(np.zeros((n_queries, 3), np.float32), 5)
        assert positions.tolist() == [[0, 1, 2, 3, 4]] * n_queries
        assert (distances == 3).all()


@pytest.mark.parametrize("by_tree", [False, True])
@pytest.mark.parametrize("shift", [0, 3000, 1e6])
def test_a_row_alone_has_the_neighbours_that_it_has_in_a_batch(by_tree, shift):
    """Not whole numbers, and far from the origin, where BLAS cannot tell near rows apart."""
    random = np.random.default_rng(5)
    X = (random.normal(size=(4000, 12)) * np.geomspace(10, 0.1, 12) + shift).astype(np.float32)
    Q = (X[:200] + random.normal(size=(200, 12)) * 0.1).astype(np.float32)
    search = tree_over(X, (0, 1, 2)).search if by_tree else FlatVectors.of_rows(X).search
    distances, positions = search(Q, 10)
    for row in range(len(Q)):
        alone = search(Q[row : row + 1], 10)
        assert np.array_equal(alone[0][0], distances[row])
        assert np.array_equal(alone[1][0], positions[row])


@pytest.mark.parametrize(("for_single", "for_batch"), [(True, False), (False, True), (True, True)])
def test_the_way_that_is_chosen_changes_no_answer(for_single, for_batch):
    random = np.random.default_rng(6)
    X = (random.normal(size=(5000, 9)) * np.geomspace(10, 0.1, 9)).astype(np.float32)
    Q = random.normal(size=(100, 9)).astype(np.float32)
    index = ExactIndex(FlatVectors.of_rows(X))
    expected = index.search(Q, 15)
    index.engine_use(EngineChoice("", TreePlan((0, 1, 2), 10), for_single, for_batch))
    for left, right in zip(index.search(Q, 15), expected, strict=True):
        assert np.array_equal(left, right)
    for row in range(20):
        assert np.array_equal(index.search(Q[row : row + 1], 15)[1][0], expected[1][row])


@pytest.mark.parametrize("columns", [(0, 0), (3,), (-1,)])
def test_a_tree_over_columns_that_are_not_there_or_twice_is_refused(columns):
    index = ExactIndex(FlatVectors.of_rows(whole_numbers(50, 3)))
    with pytest.raises(ValueError, match="no tree over the columns"):
        index.engine_use(EngineChoice("", TreePlan(columns, 4), True, True))


def test_more_threads_give_the_same_neighbours():
    X, Q = one_hot(4000), one_hot(300, seed=1)
    one, two = (
        ColumnTree(FlatVectors.of_rows(X, n_threads=n), (0, 1, 2), n_extra=8).search(Q, 20) for n in (1, 2)
    )
    for left, right in zip(one, two, strict=True):
        assert np.array_equal(left, right)


def test_questions_far_from_all_rows_are_answered():
    X = one_hot(3000)
    away = np.zeros(23, np.float32)
    away[:3] = 900
    Q = np.vstack([one_hot(40, seed=1) + away, -one_hot(40, seed=2), one_hot(40, seed=3) * 4])
    assert_exact(tree_over(X, (0, 1, 2)).search, X, Q, 10)


@pytest.mark.parametrize("by_tree", [False, True])
@pytest.mark.parametrize("scale", [1e15, 1e-18, 1e-30])
def test_magnitudes_at_the_ends_of_float32_are_searched(by_tree, scale):
    """What underflows in float32 is equal there: its order is that of the rows."""
    X = (whole_numbers(3000, 4, spread=4) / 4 * scale).astype(np.float32)
    Q = (whole_numbers(60, 4, seed=1, spread=4) / 4 * scale).astype(np.float32)
    vectors = FlatVectors.of_rows(X)
    search = ColumnTree(vectors, (0, 1), n_extra=8).search if by_tree else vectors.search
    distances, positions = search(Q, 12)
    assert np.isfinite(distances).all()
    every = vectors.distances(Q, np.tile(np.arange(len(X)), (len(Q), 1)))
    order = np.argsort(every, axis=1, kind="stable")[:, :12]
    assert np.array_equal(positions, order)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_rows_are_searched_exactly(data):
    """Duplicates, constant columns, one-hot, one column, few rows, k up to all of them."""
    draw = data.draw
    n, d = draw(st.integers(1, 400)), draw(st.integers(1, 12))
    seed, spread = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([1, 2, 30, 1000]))
    random = np.random.default_rng(seed)
    X = random.integers(-spread, spread, (n, d)).astype(np.float32)
    if draw(st.booleans()):
        X[:, random.integers(0, d)] = 7
    if draw(st.booleans()):
        X[random.integers(0, n, n // 2)] = X[0]
    Q = random.integers(-spread, spread, (draw(st.sampled_from([1, 5, 30])), d)).astype(np.float32)
    k = draw(st.integers(1, n))
    size = draw(st.integers(1, d))
    columns = tuple(int(column) for column in random.choice(d, size, replace=False))
    assert_exact(FlatVectors.of_rows(X).search, X, Q, k)
    assert_exact(tree_over(X, columns, n_extra=draw(st.integers(0, 20))).search, X, Q, k)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-12, 12))
def test_rows_of_fractions_have_no_neighbour_nearer_than_those_found(seed, exponent):
    random = np.random.default_rng(seed)
    scale = 10.0**exponent
    X = (random.normal(size=(800, 7)) * np.geomspace(1, 1e-3, 7) * scale).astype(np.float32)
    Q = (random.normal(size=(25, 7)) * scale).astype(np.float32)
    tree = tree_over(X, (0, 1, 2))
    distances, positions = tree.search(Q, 9)
    expected, _order = brute_force(X, Q, 9)
    np.testing.assert_allclose(distances, expected, rtol=2e-6)
    assert np.array_equal(positions, tree._vectors.search(Q, 9)[1])
