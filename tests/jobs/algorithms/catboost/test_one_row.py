"""One row is answered by hand, and as CatBoost answers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from jobs.algorithms.catboost import ensemble
from jobs.algorithms.catboost.ensemble import LoadedEnsemble, ensemble_write
from jobs.algorithms.catboost.one_row import ObliviousTrees


def loaded(folder: Path, loader: Any, **parameters: Any) -> tuple[LoadedEnsemble, Any, np.ndarray]:
    X, y = loader(return_X_y=True)
    X = X.astype(np.float32)
    silent: dict[str, Any] = {"allow_writing_files": False, "logging_level": "Silent", "thread_count": 1}
    model = catboost.CatBoost({"iterations": 60, "depth": 5} | silent | parameters).fit(X, y)
    ensemble_write(model, folder)
    return LoadedEnsemble(folder, n_threads=1), model, X


def by_hand(found: LoadedEnsemble) -> bool:
    return found.trees is not None


def rows_of(X: np.ndarray, model: Any) -> np.ndarray:
    """The rows, rows of nothing but borders, where `above` and `at` differ, and rows without end."""
    at_borders = X[:20].copy()
    for column, borders in model.get_borders().items():
        if borders:
            at_borders[:, int(column)] = np.resize(np.asarray(borders, np.float32), len(at_borders))
    endless = np.stack((np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf))).astype(np.float32)
    return np.concatenate((X, at_borders, endless))


@pytest.mark.parametrize("loss", ["RMSE", "MAE"])
@pytest.mark.parametrize("depth", [1, 6])
def test_numbers(tmp_path: Path, loss: str, depth: int) -> None:
    found, model, X = loaded(tmp_path, load_diabetes, loss_function=loss, depth=depth)
    assert by_hand(found)
    rows = rows_of(X, model)
    expected = model.predict(rows, prediction_type="RawFormulaVal")
    ours = np.concatenate([found.values(row[np.newaxis]) for row in rows])
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("loader", "loss"), [(load_breast_cancer, "Logloss"), (load_iris, "MultiClass")])
def test_probabilities(tmp_path: Path, loader: Any, loss: str) -> None:
    found, model, X = loaded(tmp_path, loader, loss_function=loss)
    assert by_hand(found)
    rows = rows_of(X, model)
    expected = model.predict(rows, prediction_type="Probability")
    ours = np.concatenate([found.probabilities(row[np.newaxis]) for row in rows])
    assert ours.dtype == np.float32 and ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
def test_a_missing_value_is_left_to_the_library(tmp_path: Path, nan_mode: str) -> None:
    def with_gaps(return_X_y: bool) -> Any:
        X, y = load_diabetes(return_X_y=return_X_y)
        X[::3, 2] = np.nan
        return X, y

    found, model, X = loaded(tmp_path, with_gaps, nan_mode=nan_mode)
    ours = np.concatenate([found.values(row[np.newaxis]) for row in X])
    np.testing.assert_allclose(ours, model.predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("policy", ["Depthwise", "Lossguide"])
def test_other_trees_are_left_to_the_library(tmp_path: Path, policy: str) -> None:
    found, model, X = loaded(tmp_path, load_diabetes, grow_policy=policy)
    assert not by_hand(found)
    ours = np.concatenate([found.values(row[np.newaxis]) for row in X[:30]])
    np.testing.assert_allclose(ours, model.predict(X[:30]), rtol=1e-6, atol=1e-6)


def test_large_models_are_left_to_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "LEAF_VALUES_MAX", 60 * 2**5 - 1)
    found, _model, _X = loaded(tmp_path, load_diabetes)
    assert not by_hand(found)


def test_trees_without_a_question_are_numbers() -> None:
    stump = {"leaf_values": [1.0, 3.0], "splits": [_question(1, 0.5)]}
    export = {
        "oblivious_trees": [{"leaf_values": [10.0]}, stump, {"leaf_values": [20.0], "splits": None}],
        "scale_and_bias": [2, [0.25]],
        "features_info": {"float_features": [{"flat_feature_index": 0}, {"flat_feature_index": 2}]},
    }
    trees = ObliviousTrees(export)
    assert trees.raw(np.array([0, 0, 0.5], np.float32)).tolist() == [2 * 31 + 0.25]
    assert trees.raw(np.array([0, 0, 0.6], np.float32)).tolist() == [2 * 33 + 0.25]
    only = ObliviousTrees(export | {"oblivious_trees": [{"leaf_values": [10.0]}]})
    assert only.raw(np.zeros(3, np.float32)).tolist() == [20.25]


def test_questions_about_categories_are_refused() -> None:
    asked = [{"split_type": "OneHotFeature", "value": 3}]
    export = {
        "oblivious_trees": [{"leaf_values": [1.0, 2.0], "splits": asked}],
        "scale_and_bias": [1, [0]],
        "features_info": {"float_features": []},
    }
    with pytest.raises(ValueError, match="whether a number is above a border"):
        ObliviousTrees(export)
    with pytest.raises(ValueError, match="no oblivious trees"):
        ObliviousTrees({"trees": []})


def _question(feature: int, border: float) -> dict[str, Any]:
    return {"split_type": "FloatFeature", "float_feature_index": feature, "border": border}
