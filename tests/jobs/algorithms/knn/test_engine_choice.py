"""Which way an exact index searches: decided from measurements, and measured on rows that leave no doubt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jobs.algorithms.knn.index.choice import (
    EngineChoice,
    Timing,
    TreePlan,
    engine_decide,
    flat_only,
    tree_select,
)
from jobs.algorithms.knn.index.columns import MOST_COLUMNS, column_sets
from jobs.algorithms.knn.index.flat import FlatVectors
from jobs.algorithms.knn.index.measuring import LEAST_ROWS, engine_choose
from jobs.algorithms.knn.index.neighbour_index import NeighbourIndex
from jobs.algorithms.knn.index.tree import ColumnTree
from jobs.runner.said import said_read
from mlplatform.core.text import Text, to_json

FLAT = Timing(single_ms=2.0, batch_ms=200.0)
FOUR, TEN = TreePlan((5, 9, 0, 3), 300), TreePlan((5, 9, 0, 3, 1, 4, 8, 6, 7, 2), 4)


def decide(single_ms: float | None, batch_ms: float | None) -> EngineChoice:
    return engine_decide(
        FLAT, TEN, Timing(single_ms, batch_ms), n_columns=54, measured_ms={"flat": {}, "t": {}}
    )


def test_a_tree_that_wins_everywhere_is_used_everywhere():
    choice = decide(0.2, 50.0)
    assert (choice.for_single, choice.for_batch, choice.tree) == (True, True, TEN)
    assert choice.reason == (
        "k-d tree over 10 of 54 columns, 4.0 times as fast as brute force for batches, 10.0 for single rows"
    )


@pytest.mark.parametrize(
    ("single_ms", "batch_ms", "expected"),
    [(0.2, 199.0, (True, False)), (0.2, None, (True, False)), (1.9, 50.0, (False, True))],
)
def test_each_kind_of_request_is_decided_by_itself(single_ms, batch_ms, expected):
    choice = decide(single_ms, batch_ms)
    assert (choice.for_single, choice.for_batch) == expected
    assert "10 of 54 columns" in choice.reason


@pytest.mark.parametrize(("single_ms", "batch_ms"), [(1.8, 180.0), (3.0, None), (2.0, 200.0)])
def test_a_tree_that_does_not_win_clearly_is_not_used(single_ms, batch_ms):
    choice = decide(single_ms, batch_ms)
    assert (choice.tree, choice.for_single, choice.for_batch) == (None, False, False)
    assert choice.reason == "brute force: no k-d tree is at least 1.2 times as fast on these rows"


def test_among_trees_as_good_the_smaller_one_is_taken():
    assert tree_select(FLAT, [(FOUR, Timing(0.2, 50.0)), (TEN, Timing(0.2, 49.0))]) == FOUR
    assert tree_select(FLAT, [(FOUR, Timing(0.4, 50.0)), (TEN, Timing(0.2, 49.0))]) == TEN
    assert tree_select(FLAT, [(FOUR, Timing(3.0, 300.0)), (TEN, Timing(1.9, 190.0))]) is None
    assert tree_select(FLAT, []) is None


def test_what_is_said_of_a_choice_has_no_times_in_the_models_own_files():
    slow, fast = decide(0.2, 50.0), decide(0.1, 40.0)
    assert slow.to_json(k=100) == fast.to_json(k=100)
    assert slow.to_json(k=100) == {
        "name": "tree",
        "single": "tree",
        "batch": "tree",
        "columns": list(TEN.columns),
        "n_candidates": 104,
    }
    facts = json.loads(json.dumps(slow.facts(k=100)))
    assert facts["reason"].startswith("k-d tree over 10 of 54 columns")
    assert facts["said"]["params"]["n"] == 10
    assert facts["measured_ms"].keys() == {"flat", "t"}


@pytest.mark.parametrize(
    "choice",
    [decide(0.2, 50.0), decide(0.2, None), decide(1.9, 50.0), decide(3.0, None), flat_only({})],
    ids=lambda choice: choice.reason,
)
def test_whoever_shows_a_choice_has_its_reason_as_a_template_with_nothing_beside_it(choice):
    facts = json.loads(json.dumps(choice.facts(k=100)))
    found = said_read(facts["said"], message=facts["reason"])
    assert isinstance(found, Text)
    assert to_json(found) == facts["said"]


def test_a_choice_comes_back_from_json():
    choice = decide(0.2, 300.0)
    back = EngineChoice.from_json(choice.to_json(k=100), k=100)
    assert (back.tree, back.for_single, back.for_batch) == (TEN, True, False)
    flat = decide(3.0, 300.0)
    assert EngineChoice.from_json(flat.to_json(k=100), k=100).tree is None


@pytest.mark.parametrize(
    "changes",
    [{"columns": []}, {"columns": None}, {"n_candidates": 99}, {"name": "ball"}, {"n_candidates": "x"}],
)
def test_a_choice_that_makes_no_sense_is_refused(changes):
    with pytest.raises((ValueError, TypeError)):
        EngineChoice.from_json(decide(0.2, 50.0).to_json(k=100) | changes, k=100)


def test_column_sets_have_the_widest_columns_and_leave_less_and_less_out():
    random = np.random.default_rng(0)
    X = (random.normal(size=(5000, 30)) * np.geomspace(100, 0.01, 30)[random.permutation(30)]).astype(
        np.float32
    )
    spread = X.var(axis=0)
    sets = column_sets(X, random)
    assert 2 <= len(sets) <= 4
    assert [len(columns) for columns in sets] == sorted({len(columns) for columns in sets})
    for columns in sets:
        assert len(columns) <= MOST_COLUMNS
        assert set(columns) == set(np.argsort(-spread)[: len(columns)].tolist())


def test_rows_spread_evenly_have_one_set_of_columns_to_try():
    X = np.random.default_rng(0).normal(size=(3000, 54)).astype(np.float32)
    assert [len(columns) for columns in column_sets(X, np.random.default_rng(0))] == [MOST_COLUMNS]


def test_all_columns_are_tried_where_there_are_few():
    X = np.random.default_rng(0).normal(size=(3000, 5)).astype(np.float32)
    assert [len(columns) for columns in column_sets(X, np.random.default_rng(0))][-1] == 5


def test_rows_that_are_all_equal_have_no_columns_to_try():
    assert column_sets(np.ones((100, 3), np.float32), np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("X", "k", "said"),
    [
        (np.zeros((LEAST_ROWS - 1, 2), np.float32), 5, "fewer than 20,000 rows"),
        (np.zeros((LEAST_ROWS, 2), np.float32), 3000, "for so many neighbours"),
        (np.zeros((LEAST_ROWS, 2), np.float32), 5, "all rows are equal"),
    ],
)
def test_nothing_is_built_where_nothing_can_be_won(X, k, said):
    choice = engine_choose(FlatVectors.of_rows(X), k=k, seed=0)
    assert choice.tree is None
    assert said in choice.reason


def test_inner_products_are_searched_by_brute_force():
    index = NeighbourIndex.build(
        np.ones((LEAST_ROWS, 2), np.float32),
        {"index_type": "faiss.Flat", "index_metric": "INNER_PRODUCT"},
        n_lists=1,
        n_threads=1,
    )
    choice = index.engine_choose(k=3, seed=0)
    assert choice is not None
    assert choice.tree is None
    assert "inner product" in choice.reason


def as_covertype(n: int) -> np.ndarray:
    """A few wide columns that depend on each other, and one-hot ones."""
    random = np.random.default_rng(1)
    hidden = random.normal(size=(n, 3))
    wide = np.tanh(hidden @ random.normal(size=(3, 8))) * np.geomspace(2000, 20, 8)
    return np.hstack([np.round(wide), np.eye(40)[random.integers(0, 40, n)]]).astype(np.float32)


def test_a_tree_is_chosen_for_rows_with_a_few_wide_columns():
    X = as_covertype(100_000)
    index = NeighbourIndex.build(
        X.copy(), {"index_type": "faiss.Flat", "index_metric": "L2"}, n_lists=1, n_threads=1
    )
    before = index.search(X[:50], 20)
    choice = index.engine_choose(k=20, seed=0)
    assert choice is not None
    assert choice.tree is not None, choice
    assert choice.for_single
    assert set(choice.tree.columns) <= set(range(8))
    assert {"single", "batch_581"} == choice.measured_ms["flat"].keys()
    for left, right in zip(index.search(X[:50], 20), before, strict=True):
        assert np.array_equal(left, right)


def test_brute_force_is_chosen_for_standardised_rows():
    X = np.random.default_rng(2).normal(size=(60_000, 54)).astype(np.float32)
    choice = engine_choose(FlatVectors.of_rows(X), k=100, seed=0)
    assert choice.tree is None, choice
    assert "no k-d tree" in choice.reason
    assert choice.measured_ms.keys() == {"flat", f"tree-{MOST_COLUMNS}"}


def test_a_stop_is_seen_between_measurements():
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        engine_choose(FlatVectors.of_rows(as_covertype(30_000)), k=5, seed=0, check_stop=stop)


def test_a_tree_says_how_far_what_it_leaves_out_is_at_least():
    X = as_covertype(5000)
    tree = ColumnTree(FlatVectors.of_rows(X), (0, 1, 2), n_extra=0)
    bounds, positions = tree.candidates(X[:40], 30)
    whole = ((X[:40, None].astype(np.float64) - X[None]) ** 2).sum(2)
    for row in range(40):
        outside = np.delete(whole[row], positions[row])
        assert outside.min() >= bounds[row, -1]
