"""XGBoost keeps the promises of every algorithm: two classes, many, a number, dart."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from tests.contracts.algorithm import AlgorithmCase, AlgorithmContract


def xgboost_case(loader, *, metrics: tuple[str, ...], **hyperparameters: str) -> AlgorithmCase:
    X, y = loader(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(X))[:190]
    X, y = X[order].astype(np.float32), y[order].astype(np.float32)
    return AlgorithmCase(
        algorithm="xgboost",
        hyperparameters={"num_round": "20", "max_depth": "3", **hyperparameters},
        X=X[:-40],
        y=y[:-40],
        X_test=X[-40:],
        y_test=y[-40:],
        metrics=metrics,
        scored="validation",
        takes_missing=True,
    )


class TestManyClasses(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return xgboost_case(
            load_iris,
            metrics=("train:mlogloss", "validation:mlogloss", "validation:accuracy", "validation:f1"),
            objective="multi:softprob",
            num_class="3",
            eval_metric="mlogloss,accuracy,f1",
        )


@pytest.mark.slow
class TestTwoClasses(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return xgboost_case(
            load_breast_cancer, metrics=("validation:logloss",), objective="binary:logistic", subsample="0.8"
        )


@pytest.mark.slow
class TestDroppedTreesOfANumber(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return xgboost_case(
            load_diabetes,
            metrics=("train:rmse", "validation:mse"),
            booster="dart",
            rate_drop="0.1",
            eval_metric="rmse,mse",
            num_round="60",
            eta="0.1",
        )
