"""Random projections: they keep distances, repeat for a seed, and treat each row alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard as hadamard_matrix

from jobs.algorithms.knn.preparation import Preparation
from jobs.algorithms.knn.projection import hadamard, projection_build

KINDS = ["sign", "fjlt"]


@pytest.mark.parametrize("d", [1, 2, 16, 128])
def test_the_fast_transform_equals_the_matrix(d):
    X = np.random.default_rng(0).normal(size=(5, d)).astype(np.float32)
    np.testing.assert_allclose(hadamard(X), X @ hadamard_matrix(d), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_distances_are_kept_within_the_noise(kind):
    random = np.random.default_rng(1)
    X = (random.normal(size=(60, 1000)) * random.exponential(size=1000)).astype(np.float32)
    Z = projection_build(kind, input_dim=1000, target_dim=400, seed=5)(X)
    left, right = np.triu_indices(60, 1)
    ratio = ((Z[left] - Z[right]) ** 2).sum(1) / ((X[left] - X[right]) ** 2).sum(1)
    assert Z.shape == (60, 400)
    # The ratio of squared lengths has mean 1 and a standard deviation of about sqrt(2 / 400) = 0.07.
    assert abs(ratio.mean() - 1) < 0.05
    assert ratio.min() > 0.65
    assert ratio.max() < 1.35


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_projection_and_another_seed_another(kind):
    X = np.eye(6, dtype=np.float32)
    first, again, other = (
        projection_build(kind, input_dim=6, target_dim=4, seed=seed)(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_projections_of_a_seed_never_change():
    """Artifacts store only the seed: these are the golden values of version 1.0."""
    X = np.arange(1, 6, dtype=np.float32)[None]
    sign = projection_build("sign", input_dim=5, target_dim=3, seed=7)(X)
    fast = projection_build("fjlt", input_dim=5, target_dim=3, seed=7)(X)
    np.testing.assert_allclose(sign * np.sqrt(3), [[11, -5, -5]], atol=1e-5)
    np.testing.assert_allclose(fast * np.sqrt(3), [[11, 7, -1]], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_projected_the_same_alone_as_in_a_batch(kind):
    X = np.random.default_rng(0).normal(size=(50, 33)).astype(np.float32)
    project = projection_build(kind, input_dim=33, target_dim=20, seed=0)
    together = project(X)
    for row in range(50):
        assert np.array_equal(project(X[row : row + 1])[0], together[row])


@pytest.mark.parametrize("target", [0, 5, 6])
def test_a_target_that_reduces_nothing_is_refused(target):
    with pytest.raises(ValueError, match="between 1 and 4"):
        projection_build("sign", input_dim=5, target_dim=target, seed=0)


def test_an_unknown_projection_is_refused():
    with pytest.raises(ValueError, match="one of sign, fjlt"):
        projection_build("pca", input_dim=5, target_dim=2, seed=0)


def preparation(**changes) -> Preparation:
    settings = {
        "feature_dim": 3,
        "reduction": None,
        "reduced_dim": 3,
        "normalize": False,
        "index_dim": 3,
        "seed": 0,
    }
    return Preparation(**(settings | changes))


def test_normalised_rows_have_length_one_and_zeros_stay_zero():
    X = np.array([[3, 0, 4], [0, 0, 0], [1e-30, 0, 0], [1e14, 1e14, 0]], np.float32)
    prepared = preparation(normalize=True)(X)
    np.testing.assert_allclose(np.linalg.norm(prepared, axis=1), [1, 0, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(prepared[0], [0.6, 0, 0.8], rtol=1e-6)


def test_rows_are_padded_with_zeros():
    assert preparation(index_dim=5)(np.ones((1, 3), np.float32)).tolist() == [[1, 1, 1, 0, 0]]


def test_values_whose_squares_would_overflow_are_held_to_the_largest():
    prepared = preparation()(np.array([[3e38, -3e38, 1]], np.float32))
    assert np.isfinite((prepared**2).sum())
    assert prepared[0, 0] == -prepared[0, 1] == np.float32(1e15)
