"""One row is answered by hand, and to the bit as XGBoost answers it."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from jobs.algorithms.xgboost import one_row
from jobs.algorithms.xgboost.booster import FILE, LoadedBooster, booster_train
from jobs.algorithms.xgboost.objectives import BINARY, MULTICLASS, OBJECTIVES, REGRESSION
from tests.jobs.algorithms.xgboost.boosters import by_hand, data, loaded, trained


def thresholds(model: Any) -> list[tuple[int, float]]:
    """Column and number of all questions, read from XGBoost's own JSON."""
    learner = json.loads(bytes(model.save_raw("json")))["learner"]["gradient_booster"]
    trees = learner.get("gbtree", learner)["model"]["trees"]
    return [
        (column, number)
        for tree in trees
        for column, number, left in zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
        )
        if left >= 0
    ]


def rows_of(X: np.ndarray, model: Any) -> np.ndarray:
    """The rows; rows of nothing but thresholds and of their neighbours; rows without end, of gaps, of both."""
    chance = np.random.default_rng(7)
    asked = thresholds(model)
    at = np.resize(X, (60, X.shape[1])).copy()
    for row in at:
        for position in chance.permutation(len(asked)):
            row[asked[position][0]] = asked[position][1]
    endless = np.stack((np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf))).astype(np.float32)
    huge = np.stack((np.full(X.shape[1], 3e38), np.full(X.shape[1], -3e38))).astype(np.float32)
    gaps = np.where(chance.random(X.shape) < 0.3, np.float32(np.nan), X)
    both = np.where(chance.random(at.shape) < 0.3, np.float32(np.nan), at)
    both[::2, 0], both[1::2, 0] = np.inf, -np.inf
    nothing = np.full((1, X.shape[1]), np.nan, np.float32)
    below, above = (np.nextafter(at, np.float32(end)) for end in (-np.inf, np.inf))
    return np.concatenate((X, at, below, above, endless, huge, gaps, both, nothing))


def agreement_check(found: LoadedBooster, model: Any, X: np.ndarray) -> None:
    rows = rows_of(X[::3], model)
    expected = model.inplace_predict(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = np.concatenate([found.scores(row[np.newaxis]) for row in rows])
    assert ours.dtype == np.float32 and ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(found.scores(rows), expected)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_of_the_algorithm(tmp_path: Path, objective: str) -> None:
    model, X = trained(objective)
    found = loaded(tmp_path, model)
    assert by_hand(found)
    agreement_check(found, model, X)


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "multi:softprob"])
@pytest.mark.parametrize("depth", [1, 2, 7, 12])
def test_depths(tmp_path: Path, objective: str, depth: int) -> None:
    model, X = trained(objective, max_depth=depth, min_child_weight=0)
    found = loaded(tmp_path, model)
    assert by_hand(found)
    agreement_check(found, model, X)


@pytest.mark.parametrize(
    "given",
    [
        {"base_score": 0.3},
        {"tree_method": "exact", "gamma": 3.0},  # leaves nodes that nobody reaches in a tree's arrays
        {"tree_method": "approx", "grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0},
        {"gamma": 1e9},  # trees without a question
        {"num_parallel_tree": 4, "subsample": 0.6, "colsample_bynode": 0.6},
        {"booster": "dart", "rate_drop": 0.3, "one_drop": 1},
        {"booster": "dart", "rate_drop": 0.3, "normalize_type": "forest"},
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
@pytest.mark.parametrize(
    "objective", ["reg:squarederror", "binary:logistic", "count:poisson", "multi:softprob"]
)
def test_kinds_of_trees(tmp_path: Path, objective: str, given: dict[str, Any]) -> None:
    model, X = trained(objective, **given)
    found = loaded(tmp_path, model)
    assert by_hand(found)
    agreement_check(found, model, X)


def test_sums_are_the_same_to_the_bit(tmp_path: Path) -> None:
    model, X = trained(rounds=300)
    found = loaded(tmp_path, model)
    rows = rows_of(X, model)
    ours = np.concatenate([found.scores(row[np.newaxis]) for row in rows])
    np.testing.assert_array_equal(ours, model.inplace_predict(rows))


@pytest.mark.parametrize("objective", ["reg:squarederror", "multi:softprob"])
def test_gaps_that_were_learned_go_their_way(tmp_path: Path, objective: str) -> None:
    X, y = data(objective)
    X[np.random.default_rng(1).random(X.shape) < 0.4] = np.nan
    classes = {"num_class": 3} if objective in MULTICLASS else {}
    parameters = {"objective": objective, "nthread": 1, "max_depth": 5, **classes}
    model = xgb.train(parameters, xgb.DMatrix(X, y), 40)
    learned = json.loads(bytes(model.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    assert {way for tree in learned for way in tree["default_left"]} == {0, 1}
    found = loaded(tmp_path, model)
    assert by_hand(found)
    agreement_check(found, model, X)


def test_a_forest_of_one_round(tmp_path: Path) -> None:
    X, y = data("reg:squarederror")
    model = xgb.XGBRFRegressor(n_estimators=30, max_depth=5, n_jobs=1).fit(X, y).get_booster()
    found = loaded(tmp_path, model)
    assert by_hand(found)
    agreement_check(found, model, X)


def test_extreme_sums(tmp_path: Path) -> None:
    """Probabilities that are 0 and 1 and powers without end, as XGBoost rounds them."""
    for objective, base in (("binary:logistic", 0.5), ("count:poisson", 1.0)):
        X = np.linspace(-1, 1, 200, dtype=np.float32)[:, np.newaxis]
        model = xgb.train(
            {"objective": objective, "base_score": base, "nthread": 1}, xgb.DMatrix(X, X > 0), 1
        )
        for size in (20.0, 88.5, 88.71, 88.9, 400.0):
            content = json.loads(bytes(model.save_raw("json")))
            tree = content["learner"]["gradient_booster"]["model"]["trees"][0]
            signs = np.where(np.arange(len(tree["left_children"])) % 2, size, -size)
            tree["split_conditions"] = [
                float(sign) if left < 0 else number
                for sign, number, left in zip(
                    signs, tree["split_conditions"], tree["left_children"], strict=True
                )
            ]
            path = tmp_path / FILE
            path.write_text(json.dumps(content))
            found = LoadedBooster(tmp_path, n_threads=1)
            assert by_hand(found)
            agreement_check(found, found._booster, X)


def test_early_stopping_answers_of_the_best_round(tmp_path: Path) -> None:
    X, y = data("reg:squarederror")
    model = booster_train(
        {"objective": "reg:squarederror", "eta": 0.5, "nthread": 1, "tree_method": "hist", "max_bin": 256},
        n_rounds=300,
        train=(X[:300], y[:300]),
        validation=(X[300:], y[300:]),
        own_metrics=[],
        early_stopping=(5, None, None),
        on_round=lambda _number, _scores: None,
    )
    assert model.num_boosted_rounds() < 290
    found = loaded(tmp_path, model)
    assert by_hand(found)
    agreement_check(found, model, X)


@pytest.mark.parametrize("form", ["ubj", "json"])
def test_a_file_trained_elsewhere_is_answered_with_all_its_rounds(tmp_path: Path, form: str) -> None:
    """A best round that a file remembers is, as ever, scikit-learn's face's alone to look at."""
    X, y = data("binary:logistic")
    model = xgb.XGBClassifier(n_estimators=80, early_stopping_rounds=3, n_jobs=1, learning_rate=0.5)
    model.fit(X[:400], y[:400], eval_set=[(X[400:], y[400:])], verbose=False)
    found = model.get_booster()
    assert found.best_iteration + 1 < found.num_boosted_rounds()
    found.feature_names = [f"column {number}" for number in range(X.shape[1])]
    (tmp_path / FILE).write_bytes(found.save_raw(form))
    ours = LoadedBooster(tmp_path, n_threads=1)
    assert by_hand(ours)
    expected = found.predict(xgb.DMatrix(X, feature_names=found.feature_names), iteration_range=(0, 0))
    np.testing.assert_array_equal(np.concatenate([ours.scores(row[np.newaxis]) for row in X]), expected)


def test_threads_that_ask_first_at_once_get_their_own_answers(tmp_path: Path) -> None:
    model, X = trained("multi:softprob")
    expected = model.inplace_predict(X)
    for _ in range(10):
        found = loaded(tmp_path, model, n_threads=2)
        with ThreadPoolExecutor(8) as threads:
            ours = np.concatenate(list(threads.map(found.scores, X[:, np.newaxis])))
        np.testing.assert_array_equal(ours, expected)


def test_a_row_is_left_as_it_was_and_has_as_many_values_as_the_model(tmp_path: Path) -> None:
    model, X = trained()
    found = loaded(tmp_path, model)
    row = X[:1].copy()
    row[0, 2] = np.nan
    kept = row.copy()
    first = found.scores(row)
    np.testing.assert_array_equal(row, kept)
    second = found.scores(X[1:2])
    np.testing.assert_array_equal(first, model.inplace_predict(row))
    np.testing.assert_array_equal(second, model.inplace_predict(X[1:2]))
    with pytest.raises(ValueError, match="has 9 values, not 10"):
        found.scores(row[:, :9])


def test_all_objectives_are_known() -> None:
    assert set(one_row._ANSWERS) == set(OBJECTIVES) == {*REGRESSION, *BINARY, *MULTICLASS}
