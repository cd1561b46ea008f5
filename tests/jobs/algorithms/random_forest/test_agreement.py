"""random-forest answers what scikit-learn's forests answer, tree for tree."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from jobs.algorithms.base import DataFacts
from jobs.algorithms.random_forest.engine import ForestPredictor
from jobs.algorithms.random_forest.growing import forest_grow
from jobs.algorithms.random_forest.spec import SPEC
from mlplatform.core.errors import InvalidRequest


def predictor(X: np.ndarray, y: np.ndarray, **given: str) -> ForestPredictor:
    values = SPEC.validate({"n_estimators": "37", "random_state": "5", **given})
    grown: list[int] = []
    forest = forest_grow(X, y, values, n_threads=1, on_grown=grown.append)
    assert grown[-1] == 37 and grown == sorted(set(grown))
    return ForestPredictor(forest, X[0].tolist())


def test_a_classifier_answers_as_scikit_learn() -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X.astype(np.float32), (10 * y).astype(np.float32)
    library = RandomForestClassifier(37, random_state=5, max_depth=3, class_weight="balanced").fit(X, y)
    found = predictor(X, y, predictor_type="classifier", max_depth="3", class_weight="balanced").predict(X)
    np.testing.assert_allclose(found["score"], library.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(found["predicted_label"], library.predict(X))


def test_a_regressor_answers_as_scikit_learn() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = X.astype(np.float32), y.astype(np.float32)
    library = RandomForestRegressor(37, random_state=5, max_features=0.5, max_samples=0.7).fit(X, y)
    found = predictor(X, y, predictor_type="regressor", max_features="0.5", max_samples="0.7").predict(X)
    np.testing.assert_allclose(found["score"], library.predict(X), rtol=1e-6)


def test_trees_that_are_only_a_root_answer_the_mean() -> None:
    X, y = np.arange(10, dtype=np.float32)[:, None], np.arange(10, dtype=np.float32)
    found = predictor(X, y, predictor_type="regressor", min_samples_leaf="10", bootstrap="false").predict(X)
    np.testing.assert_array_equal(found["score"], np.full(10, 4.5, np.float32))


@pytest.mark.parametrize(
    ("given", "facts", "field"),
    [
        ({"predictor_type": "regressor"}, DataFacts(label_is_text=True), "predictor_type"),
        ({"predictor_type": "classifier"}, DataFacts(n_classes=1), "predictor_type"),
        ({"predictor_type": "regressor", "criterion": "gini"}, DataFacts(), "criterion"),
        ({"predictor_type": "regressor", "class_weight": "balanced"}, DataFacts(), "class_weight"),
        (
            {"predictor_type": "classifier", "bootstrap": "false", "max_samples": "0.5"},
            DataFacts(),
            "max_samples",
        ),
    ],
)
def test_rules(given: dict[str, str], facts: DataFacts, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SPEC.validate(given, facts)
    assert [error.field for error in caught.value.errors] == [f"hyperparameters.{field}"]
