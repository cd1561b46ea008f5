"""pca keeps the promises of every algorithm, and finds the components that scikit-learn finds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA as Library

from jobs.algorithms.base import DataFacts
from jobs.algorithms.pca.components import Components, CovarianceSum, directions_draw
from jobs.algorithms.pca.spec import SPEC
from mlplatform.core.errors import InvalidRequest
from tests.contracts.algorithm import AlgorithmCase, UnlabelledAlgorithmContract


class TestComponents(UnlabelledAlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        X, y = load_iris(return_X_y=True)
        order = np.random.default_rng(3).permutation(len(X))
        X, y = X[order].astype(np.float32), y[order].astype(np.float32)
        return AlgorithmCase(
            algorithm="pca",
            hyperparameters={"num_components": "2", "mini_batch_size": "32"},
            X=X[:-40],
            y=y[:-40],
            X_test=X[-40:],
            y_test=y[-40:],
            metrics=("test:explained_variance",),
        )

    def test_it_has_learned_something(self, case: AlgorithmCase, predictor) -> None:
        expected = Library(2).fit(case.X.astype(np.float64)).transform(case.X_test)
        found = predictor.predict(case.X_test)["projection"]
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def components(X: np.ndarray, n: int, directions=None, *, subtract_mean: bool = True) -> Components:
    shift = X[:100].mean(axis=0) if subtract_mean else np.zeros(X.shape[1])
    total = CovarianceSum(shift, directions)
    for start in range(0, len(X), 100):
        total.add(X[start : start + 100])
    return total.components(n, subtract_mean=subtract_mean)


def test_exact_components_are_those_of_scikit_learn_also_far_from_zero() -> None:
    X = load_digits().data + 1e6
    library = Library(10, svd_solver="full").fit(X)
    found = components(X, 10)
    np.testing.assert_allclose(found.mean, library.mean_)
    np.testing.assert_allclose(found.deviations**2, library.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(found.vectors.T * library.components_, axis=1)), 1, atol=1e-6)


def test_random_directions_keep_nearly_as_much() -> None:
    X = load_digits().data
    exact = Library(8, svd_solver="full").fit(X)
    found = components(X, 8, directions_draw(64, 8, -1, seed=0))
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(8), atol=1e-9)
    kept = np.square((X - found.mean) @ found.vectors).sum() / np.square(X - found.mean).sum()
    assert kept > 0.95 * exact.explained_variance_ratio_.sum()


def test_without_subtracting_the_mean_it_is_the_singular_vectors() -> None:
    X = load_iris().data
    found = components(X, 2, subtract_mean=False)
    _left, singular, right = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(found.deviations, singular[:2] / np.sqrt(len(X) - 1))
    np.testing.assert_allclose(np.abs(np.sum(found.vectors.T * right[:2], axis=1)), 1)
    np.testing.assert_array_equal(found.mean, 0)


@pytest.mark.parametrize("extra", [None, 0])
def test_columns_that_do_not_vary_give_components_all_the_same(extra: int | None) -> None:
    directions = None if extra is None else directions_draw(4, 3, extra, seed=0)
    found = components(np.full((20, 4), 2.0), 3, directions)
    np.testing.assert_allclose(found.deviations, 0, atol=1e-12)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(3), atol=1e-9)


def test_rules() -> None:
    for facts in (DataFacts(n_features=2), DataFacts(n_rows=2, n_features=9)):
        with pytest.raises(InvalidRequest) as caught:
            SPEC.validate({"num_components": "3"}, facts)
        assert [error.field for error in caught.value.errors] == ["hyperparameters.num_components"]
