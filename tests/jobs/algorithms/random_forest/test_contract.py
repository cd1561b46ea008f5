"""random-forest keeps the promises of every algorithm: labels of any numbers, two of them, a number."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from tests.contracts.algorithm import AlgorithmCase, AlgorithmContract


def forest_case(
    loader, *, metrics: tuple[str, ...], scale: int = 1, by_column: int | None = None, **given: str
) -> AlgorithmCase:
    """`by_column`: that column is the label."""
    X, y = loader(return_X_y=True)
    if by_column is not None:
        X, y = np.delete(X, by_column, axis=1), X[:, by_column]
    order = np.random.default_rng(3).permutation(len(X))[:190]
    X, y = X[order].astype(np.float32), (scale * y[order]).astype(np.float32)
    return AlgorithmCase(
        algorithm="random-forest",
        hyperparameters={"n_estimators": "12", **given},
        X=X[:-40],
        y=y[:-40],
        X_test=X[-40:],
        y_test=y[-40:],
        metrics=metrics,
    )


class TestManyLabels(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        metrics = ("test:accuracy", "test:macro_f_1.000")
        return forest_case(load_iris, metrics=metrics, scale=3, predictor_type="classifier")


@pytest.mark.slow
class TestTwoLabels(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return forest_case(load_breast_cancer, metrics=("test:accuracy",), predictor_type="classifier")


@pytest.mark.slow
class TestANumber(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        metrics = ("test:rmse", "test:mse")
        return forest_case(
            load_breast_cancer, by_column=0, metrics=metrics, predictor_type="regressor", max_depth="8"
        )
