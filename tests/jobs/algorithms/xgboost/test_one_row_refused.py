"""What one row by hand cannot answer, or answers otherwise, is left to XGBoost."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from jobs.algorithms.xgboost import booster, one_row
from jobs.algorithms.xgboost.booster import FILE, LoadedBooster
from jobs.algorithms.xgboost.one_row import BoostedTrees, OtherModel
from jobs.algorithms.xgboost.ubjson import ubjson_read
from mlplatform.core.errors import ModelError
from tests.jobs.algorithms.xgboost.boosters import by_hand, data, loaded, trained


def test_a_pickled_booster_is_no_file_of_xgboost(tmp_path: Path) -> None:
    model, _X = trained()
    (tmp_path / FILE).write_bytes(pickle.dumps(model))
    with pytest.raises(ModelError, match=f"file {FILE} cannot be read"):
        LoadedBooster(tmp_path, n_threads=1)
    with pytest.raises(ModelError, match=f"no readable file {FILE}"):
        LoadedBooster(tmp_path / "nowhere", n_threads=1)


def test_a_linear_booster_has_no_trees(tmp_path: Path) -> None:
    """XGBoost's `inplace_predict` refuses them, for one row and for many; the algorithm does not offer them."""
    model, X = trained(booster="gblinear")
    found = loaded(tmp_path, model)
    assert not by_hand(found)
    with pytest.raises(RuntimeError, match="not supported by the current booster"):
        found.scores(X[:1])
    with pytest.raises(xgb.core.XGBoostError, match="not supported by the current booster"):
        found.scores(X)


def of_categories() -> Any:
    chance = np.random.default_rng(2)
    X = np.column_stack((chance.integers(0, 9, 300), chance.random(300))).astype(np.float32)
    y = (X[:, 0] % 3 == 1) + X[:, 1]
    matrix = xgb.DMatrix(X, y, feature_types=["c", "float"], enable_categorical=True)
    return xgb.train({"nthread": 1, "max_cat_to_onehot": 2}, matrix, 5)


def of_two_numbers(strategy: str) -> Any:
    X, y = data("reg:squarederror")
    return xgb.train({"nthread": 1, "multi_strategy": strategy}, xgb.DMatrix(X, np.stack((y, -y), 1)), 5)


def of_another_objective() -> Any:
    return trained("reg:quantileerror", quantile_alpha=0.4)[0]


def deep() -> Any:
    """Each question parts one row from the others: a chain."""
    x = np.arange(60, dtype=np.float32)
    given = {"max_depth": 60, "tree_method": "exact", "lambda": 0, "min_child_weight": 0, "base_score": 0}
    return xgb.train({"nthread": 1, **given}, xgb.DMatrix(x[:, np.newaxis], 2.0**x), 3)


@pytest.mark.parametrize(
    ("make", "n_threads"),
    [
        (of_categories, 1),
        (lambda: of_two_numbers("multi_output_tree"), 1),
        (lambda: of_two_numbers("one_output_per_tree"), 1),
        (of_another_objective, 1),
        (deep, 1),
        (deep, 2),
    ],
)
def test_other_models_are_left_to_the_library(
    tmp_path: Path, make: Callable[[], Any], n_threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = make()
    found = loaded(tmp_path, model, n_threads=n_threads)
    assert not by_hand(found)
    assert not caplog.records
    rows = np.random.default_rng(3).integers(0, 9, (40, found.n_features)).astype(np.float32)
    ours = np.concatenate([found.scores(row[np.newaxis]) for row in rows])
    np.testing.assert_array_equal(ours, model.inplace_predict(rows))


@pytest.mark.parametrize(("name", "value"), [("MODEL_BYTES_MAX", 10_000), ("TREES_MAX", 39)])
def test_large_models_are_left_to_the_library(
    tmp_path: Path, name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, X = trained(rounds=40)
    assert by_hand(loaded(tmp_path, model))
    monkeypatch.setattr(booster, name, value)
    found = loaded(tmp_path, model)
    assert not by_hand(found)
    np.testing.assert_array_equal(found.scores(X[:1]), model.inplace_predict(X[:1]))


def test_a_forest_of_classes_counts_its_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _X = trained("multi:softprob", rounds=5, num_parallel_tree=4)
    for most, expected in ((60, True), (59, False)):
        monkeypatch.setattr(booster, "TREES_MAX", most)
        assert by_hand(loaded(tmp_path, model)) is expected


def test_a_difference_leaves_it_to_the_library_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, X = trained()
    monkeypatch.setitem(
        one_row._ANSWERS, "reg:squarederror", (one_row._itself, lambda sums: sums * np.float32(1 + 1e-5))
    )
    found = loaded(tmp_path, model)
    with caplog.at_level(logging.WARNING):
        ours = np.concatenate([found.scores(row[np.newaxis]) for row in X])
    assert not by_hand(found)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "by hand they differ by up to" in caplog.text
    np.testing.assert_array_equal(ours, model.inplace_predict(X))


def test_answers_of_another_shape_leave_it_to_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, X = trained("multi:softprob")
    monkeypatch.setitem(one_row._ANSWERS, "multi:softprob", (one_row._itself, one_row._largest))
    found = loaded(tmp_path, model)
    assert not by_hand(found)
    assert "its answers are (32,), not (32, 3)" in caplog.text
    np.testing.assert_array_equal(found.scores(X[:1]), model.inplace_predict(X[:1]))


def test_thresholds_at_fault_are_found_by_the_probes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One number up in the last digit is as if `below` had become `at most`."""
    model, _X = trained()
    true_join = one_row._joined

    def joined(trees: Any, name: str, dtype: Any) -> np.ndarray:
        found = true_join(trees, name, dtype)
        return np.nextafter(found, np.float32(np.inf)) if name == "split_conditions" else found

    monkeypatch.setattr(one_row, "_joined", joined)
    assert not by_hand(loaded(tmp_path, model))
    assert "differ" in caplog.text


def test_a_way_of_missing_values_at_fault_is_found_by_the_probes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _X = trained()
    true_join = one_row._joined

    def joined(trees: Any, name: str, dtype: Any) -> np.ndarray:
        found = true_join(trees, name, dtype)
        return ~found if name == "default_left" else found

    monkeypatch.setattr(one_row, "_joined", joined)
    assert not by_hand(loaded(tmp_path, model))


def test_a_model_that_says_things_otherwise_is_left_to_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, X = trained()
    content = ubjson_read(bytes(model.save_raw("ubj")))
    del content["learner"]["gradient_booster"]["model"]["trees"][3]["split_conditions"]
    monkeypatch.setattr(booster, "ubjson_read", lambda _text: content)
    found = loaded(tmp_path, model)
    assert not by_hand(found)
    assert "cannot be read: KeyError('split_conditions')" in caplog.text
    np.testing.assert_array_equal(found.scores(X[:1]), model.inplace_predict(X[:1]))


def test_models_that_the_layout_cannot_hold_are_refused() -> None:
    def tree(conditions: list[float], left: list[int]) -> dict[str, Any]:
        n = len(left)
        return {
            "left_children": left,
            "right_children": [child + 1 if child >= 0 else -1 for child in left],
            "split_conditions": conditions,
            "split_indices": [0] * n,
            "split_type": [0] * n,
            "default_left": [1] * n,
            "tree_param": {"size_leaf_vector": "1"},
        }

    def model(*trees: dict[str, Any], base: str = "[5E-1]") -> dict[str, Any]:
        content = {"trees": list(trees), "tree_info": [0] * len(trees)}
        values = {"num_feature": "1", "num_class": "0", "num_target": "1", "base_score": base}
        return {
            "learner": {
                "objective": {"name": "reg:squarederror"},
                "learner_model_param": values,
                "gradient_booster": {"name": "gbtree", "model": content},
            }
        }

    stump = tree([0.0, 1.0, 2.0], [1, -1, -1])
    for base in ("[5E-1]", "5E-1"):
        trees = BoostedTrees(model(stump, tree([10.0], [-1]), base=base))
        found = [trees.scores(np.array([x], np.float32)).tolist() for x in (-1, 0, np.nan)]
        assert found == [[11.5], [12.5], [11.5]]
    assert BoostedTrees(model()).scores(np.zeros(1, np.float32)).tolist() == [0.5]
    with pytest.raises(OtherModel, match="not finite"):
        BoostedTrees(model(tree([-np.inf, 1.0, 2.0], [1, -1, -1])))
    with pytest.raises(ValueError, match="several parents"):
        BoostedTrees(model(tree([0.0, 1.0, 2.0], [1, 1, -1])))
    with pytest.raises(ValueError, match="column 4 of 1"):
        BoostedTrees(model(stump | {"split_indices": [4, 0, 0]}))
    with pytest.raises(ValueError, match="do not belong to 1 groups"):
        changed = model(stump, stump)
        changed["learner"]["gradient_booster"]["model"]["tree_info"] = [0, 1]
        BoostedTrees(changed)
