"""ensemble keeps the promises of every algorithm: a number by two members, labels of any numbers by all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from tests.contracts.algorithm import AlgorithmCase, AlgorithmContract

SMALL = {"xgboost__num_round": "8", "catboost__iterations": "20", "n_folds": "2"}


class TestANumber(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        whole, _y = load_breast_cancer(return_X_y=True)
        whole = whole[np.random.default_rng(3).permutation(len(whole))[:190]].astype(np.float32)
        X, y = whole[:, 1:8], whole[:, 0]
        return AlgorithmCase(
            algorithm="ensemble",
            hyperparameters={"task": "regressor", "catboost__learning_rate": "0.3", **SMALL},
            X=X[:-40],
            y=y[:-40],
            X_test=X[-40:],
            y_test=y[-40:],
            metrics=("cv:rmse", "cv:mse", "cv:xgboost:rmse", "cv:catboost:rmse", "test:rmse"),
            takes_missing=True,
        )


@pytest.mark.slow
class TestManyLabels(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        X, y = load_iris(return_X_y=True)
        order = np.random.default_rng(3).permutation(len(X))
        X, y = X[order].astype(np.float32), (3 * y[order]).astype(np.float32)
        return AlgorithmCase(
            algorithm="ensemble",
            hyperparameters={
                "task": "classifier",
                "members": "xgboost, catboost, linear-learner, random-forest, knn, deep=random-forest",
                "blend": "stacked",
                "random-forest__n_estimators": "5",
                "deep__max_depth": "9",
                **SMALL,
            },
            X=X[:-40],
            y=y[:-40],
            X_test=X[-40:],
            y_test=y[-40:],
            metrics=("cv:accuracy", "cv:knn:accuracy", "validation:accuracy"),
            scored="validation",
        )
