"""linear-learner keeps the promises of every algorithm: a number, two classes, many."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from tests.contracts.algorithm import AlgorithmCase, AlgorithmContract


def linear_case(loader, *, metrics: tuple[str, ...], **given: str) -> AlgorithmCase:
    X, y = loader(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(X))[:190]
    X, y = X[order].astype(np.float32), y[order].astype(np.float32)
    return AlgorithmCase(
        algorithm="linear-learner",
        hyperparameters=given,
        X=X[:-40],
        y=y[:-40],
        X_test=X[-40:],
        y_test=y[-40:],
        metrics=("train:objective_loss", "test:objective_loss", *metrics),
    )


class TestManyClasses(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        metrics = ("test:multiclass_accuracy", "test:macro_f_beta")
        return linear_case(
            load_iris, metrics=metrics, predictor_type="multiclass_classifier", num_classes="3"
        )


@pytest.mark.slow
class TestTwoClasses(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        metrics = ("test:binary_classification_accuracy", "test:roc_auc_score", "test:recall")
        return linear_case(load_breast_cancer, metrics=metrics, predictor_type="binary_classifier", wd="0.01")


@pytest.mark.slow
class TestANumber(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        metrics = ("test:mse", "test:rmse", "test:absolute_loss")
        return linear_case(load_diabetes, metrics=metrics, predictor_type="regressor", feature_dim="10")

    def test_it_has_learned_something(self, case: AlgorithmCase, predictor) -> None:
        """A straight plane explains less of this data than the contract asks of others: nearly half."""
        score = predictor.predict(case.X_test)["score"]
        assert np.mean((score - case.y_test) ** 2) < 0.65 * np.var(case.y_test)
