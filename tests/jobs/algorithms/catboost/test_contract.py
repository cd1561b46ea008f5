"""CatBoost keeps the promises of every algorithm: labels of any numbers, two of them, a number."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from tests.contracts.algorithm import AlgorithmCase, AlgorithmContract


def catboost_case(loader, *, metrics: tuple[str, ...], scale: int = 1, **given: str) -> AlgorithmCase:
    X, y = loader(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(X))[:190]
    X, y = X[order].astype(np.float32), (scale * y[order]).astype(np.float32)
    return AlgorithmCase(
        algorithm="catboost",
        hyperparameters={"iterations": "30", "depth": "3", "learning_rate": "0.2", **given},
        X=X[:-40],
        y=y[:-40],
        X_test=X[-40:],
        y_test=y[-40:],
        metrics=metrics,
        takes_missing=True,
    )


class TestManyLabels(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        metrics = ("train:MultiClass", "train:Accuracy", "test:accuracy", "test:macro_f_1.000")
        return catboost_case(
            load_iris, metrics=metrics, scale=3, loss_function="MultiClass", eval_metric="Accuracy"
        )


@pytest.mark.slow
class TestTwoLabels(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return catboost_case(load_breast_cancer, metrics=("test:accuracy",), loss_function="Logloss")


@pytest.mark.slow
class TestANumber(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return catboost_case(load_diabetes, metrics=("train:RMSE", "test:rmse", "test:mse"))
