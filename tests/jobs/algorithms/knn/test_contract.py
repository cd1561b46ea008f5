"""k-NN keeps the promises of every algorithm: classifier, regressor, index types, metrics, projections."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contracts.algorithm import AlgorithmCase, AlgorithmContract

CLASSIFIER = ("test:accuracy", "test:macro_f_1.000", "train:throughput")
REGRESSOR = ("test:mse", "train:throughput")


def knn_case(*, n_train: int = 120, regressor: bool = False, **hyperparameters: str) -> AlgorithmCase:
    """Three well separated clouds labelled 0, 3 and 7, or a smooth function, of 6 features."""
    random = np.random.default_rng(11)
    n = n_train + 40
    centre = random.integers(0, 3, n)
    X = (random.normal(size=(n, 6)) + 6 * np.eye(3, 6)[centre]).astype(np.float32)
    y = X[:, 0] + 0.5 * X[:, 1] if regressor else np.array([0, 3, 7])[centre]
    y = y.astype(np.float32)
    given = {
        "k": "5",
        "predictor_type": "regressor" if regressor else "classifier",
        "sample_size": "1000",
        **hyperparameters,
    }
    return AlgorithmCase(
        algorithm="knn",
        hyperparameters=given,
        X=X[:n_train],
        y=y[:n_train],
        X_test=X[n_train:],
        y_test=y[n_train:],
        metrics=REGRESSOR if regressor else CLASSIFIER,
    )


class TestClassifier(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return knn_case()


class TestRegressor(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return knn_case(regressor=True, feature_dim="6")


@pytest.mark.slow
class TestCompressedIndexOfProjectedRows(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return knn_case(
            n_train=300,
            index_type="faiss.IVFPQ",
            faiss_index_pq_m="2",
            dimension_reduction_type="sign",
            dimension_reduction_target="4",
        )


@pytest.mark.slow
class TestInvertedIndexByCosineOfFastProjectedSample(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return knn_case(
            sample_size="100",
            index_type="faiss.IVFFlat",
            index_metric="COSINE",
            dimension_reduction_type="fjlt",
            dimension_reduction_target="5",
        )


class TestGraph(AlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        return knn_case(index_type="faiss.HNSW32")
