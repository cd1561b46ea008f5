"""kmeans keeps the promises of every algorithm, and finds the clusters that scikit-learn finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans as Library
from sklearn.datasets import load_iris, make_blobs

from jobs.algorithms.base import DataFacts
from jobs.algorithms.kmeans.clustering import Clustering
from jobs.algorithms.kmeans.engine import KMeansPredictor
from jobs.algorithms.kmeans.spec import SPEC
from mlplatform.core.errors import InvalidRequest
from tests.contracts.algorithm import AlgorithmCase, UnlabelledAlgorithmContract
from tests.contracts.job_folder import JobFolder, csv_text


class TestClusters(UnlabelledAlgorithmContract):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        X, y = load_iris(return_X_y=True)
        order = np.random.default_rng(3).permutation(len(X))
        X, y = X[order].astype(np.float32), y[order].astype(np.float32)
        return AlgorithmCase(
            algorithm="kmeans",
            hyperparameters={"k": "3", "feature_dim": "4", "eval_metrics": '["msd", "ssd"]'},
            X=X[:-40],
            y=y[:-40],
            X_test=X[-40:],
            y_test=y[-40:],
            metrics=("test:msd", "test:ssd"),
        )

    def test_it_has_learned_something(self, case: AlgorithmCase, predictor) -> None:
        distances = predictor.predict(case.X)["distance_to_cluster"]
        assert np.sum(distances**2) < 1.05 * Library(3, n_init=5, random_state=0).fit(case.X).inertia_


def predictor(X: np.ndarray, batch_rows: int, **given: str) -> KMeansPredictor:
    clustering = Clustering(SPEC.validate(given))
    for start in range(0, len(X), batch_rows):
        clustering.add(X[start : start + batch_rows])
    return KMeansPredictor(clustering.centres(), X[0])


@pytest.mark.parametrize("method", ["random", "kmeans++"])
def test_separate_clouds_are_found_batch_by_batch(method: str) -> None:
    X, y, centres = make_blobs(3000, 5, centers=6, cluster_std=0.3, random_state=1, return_centers=True)
    found = predictor(X.astype(np.float32), 500, k="6", init_method=method)
    closest = found.predict(X.astype(np.float32))["closest_cluster"]
    assert len({(int(one), int(other)) for one, other in zip(closest, y, strict=True)}) == 6
    order = closest[np.unique(y, return_index=True)[1]].astype(int)
    np.testing.assert_allclose(found.centres[order], centres, atol=0.1)


def test_distances_are_euclidean_from_the_nearest_centre() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    found = KMeansPredictor(np.array([[0.0, 0, 0], [1, 1, 1], [-2, 0, 1]]), X[0])
    distances = np.linalg.norm(X[:, None].astype(np.float64) - found.centres[None], axis=2)
    answer = found.predict(X)
    np.testing.assert_array_equal(answer["closest_cluster"], distances.argmin(axis=1))
    np.testing.assert_allclose(answer["distance_to_cluster"], distances.min(axis=1), rtol=1e-6)


def test_rows_that_are_all_the_same_have_one_place() -> None:
    X = np.full((40, 2), 3, np.float32)
    answer = predictor(X, 7, k="2").predict(X)
    np.testing.assert_allclose(answer["distance_to_cluster"], 0, atol=1e-5)


def test_more_clusters_than_rows_are_refused(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(5, 2))
    result = JobFolder(tmp_path, "kmeans", {"k": "6"}, {"train": csv_text(X, X[:, 0])}).prepare().run()
    assert result.failure_text.startswith("ClientError: hyperparameters.k: 6 exceeds the 5 rows")


def test_rules() -> None:
    for given, facts, field in (
        ({"k": "3"}, DataFacts(n_rows=2), "k"),
        ({"k": "3", "mini_batch_size": "2"}, DataFacts(), "mini_batch_size"),
        ({"k": "3", "feature_dim": "2"}, DataFacts(n_features=3), "feature_dim"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            SPEC.validate(given, facts)
        assert [error.field for error in caught.value.errors] == [f"hyperparameters.{field}"]


def test_rows_without_a_label_are_read_from_the_first_column_on(tmp_path: Path) -> None:
    """`text/csv;label_size=0`."""
    schema = {"format": "csv", "columns": [], "types": [], "header": False, "label": None}
    text = "".join(f"{value},{value}\n" for value in range(10))
    folder = JobFolder(tmp_path / "a", "kmeans", {"k": "2"}, {"train": text}, {"train": schema})
    result = folder.prepare().run()
    assert result.returncode == 0, result.err
    assert SPEC.engine_load().load(result.model_dir, n_threads=1).n_features == 2
    folder = JobFolder(tmp_path / "b", "kmeans", {"k": "2"}, {"train": text + "1,\n"}, {"train": schema})
    assert folder.prepare().run().failure_text.startswith("ClientError: row 11, column 'c1': ")
