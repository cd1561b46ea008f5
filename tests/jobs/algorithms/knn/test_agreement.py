"""k-NN as a whole against scikit-learn, and on Iris; the training runs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from jobs.algorithms.base import DataFacts, Predictor
from jobs.algorithms.knn.engine import KNN
from jobs.algorithms.registry import algorithm_get
from mlplatform.core.errors import DataError, InvalidRequest
from mlplatform.core.tabular.schema import Batch


@dataclass
class ArrayChannel:
    """A channel over arrays."""

    name: str
    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...] | None = None
    n_rows: int | None = None

    def batches(self, batch_rows: int, *, require_label: bool = False) -> Iterator[Batch]:
        for start in range(0, len(self.X), batch_rows):
            rows = slice(start, start + batch_rows)
            yield Batch(self.X[rows].astype(np.float32), self.y[rows].astype(np.float32), start + 1)


@dataclass
class ArrayContext:
    """A job without a process."""

    hyperparameters: dict[str, Any]
    channels: dict[str, ArrayChannel]
    model_dir: Path
    n_threads: int = 1
    host: str = "algo-1"
    lines: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def output_dir(self) -> Path:
        return self.model_dir

    def log(self, message: str, *, level: str = "INFO") -> None:
        self.lines.append(message)

    def progress(self, fraction: float) -> None:
        pass

    def check(self, facts: DataFacts) -> None:
        algorithm_get("knn").check(self.hyperparameters, facts)

    def model_facts(self, facts: Mapping[str, Any]) -> None:
        self.facts = dict(facts)

    def stop_requested(self) -> bool:
        return False

    def check_stop(self) -> None:
        pass


def train(
    folder: Path, X, y, X_test=None, y_test=None, *, k: int = 5, sample_size: int = 100_000, **given: str
) -> tuple[Predictor, list[str]]:
    texts = {"predictor_type": "classifier", "k": str(k), "sample_size": str(sample_size), **given}
    channels = {"train": ArrayChannel("train", np.asarray(X), np.asarray(y))}
    if X_test is not None:
        channels["test"] = ArrayChannel("test", np.asarray(X_test), np.asarray(y_test))
    context = ArrayContext(algorithm_get("knn").validate(texts), channels, folder)
    KNN().train(context)
    return KNN().load(folder, n_threads=1), context.lines


def smallest_majority(y: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """scikit-learn's own vote, for which the classes are sorted: ties go to the smallest."""
    return np.array([np.bincount(y[row].astype(int)).argmax() for row in neighbours])


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, ...]:
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, random_state=0)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_classifier_agrees_with_scikit_learn(digits, k, tmp_path):
    X, X_test, y, y_test = digits
    predictor, lines = train(tmp_path, X, y, X_test, y_test, k=k)
    reference = KNeighborsClassifier(k, algorithm="brute").fit(X, y)
    prediction = predictor.predict(X_test.astype(np.float32), verbose=True)
    distances, neighbours = reference.kneighbors(X_test)
    np.testing.assert_allclose(prediction["distances"], distances**2, rtol=1e-5)
    # scikit-learn leaves open which of equally distant rows is the k-th; such rows may differ.
    clear = np.abs(np.diff(np.sort(reference.kneighbors(X_test, k + 1)[0], axis=1))[:, -1]) > 1e-9
    assert clear.mean() > 0.9
    expected = reference.predict(X_test)
    assert np.array_equal(prediction["predicted_label"][clear], expected[clear])
    assert np.array_equal(smallest_majority(y, neighbours), expected)
    accuracy = float(np.mean(prediction["predicted_label"] == y_test))
    assert f"#quality_metric: host=algo-1, test accuracy <score>={accuracy!r}" in lines


def test_cosine_agrees_with_scikit_learn(digits, tmp_path):
    X, X_test, y, _ = digits
    predictor, _ = train(tmp_path, X, y, k=7, index_metric="COSINE")
    reference = KNeighborsClassifier(7, metric="cosine", algorithm="brute").fit(X, y)
    prediction = predictor.predict(X_test.astype(np.float32), verbose=True)
    np.testing.assert_allclose(prediction["distances"], reference.kneighbors(X_test)[0], atol=2e-6)
    assert np.mean(prediction["predicted_label"] == reference.predict(X_test)) > 0.997


def test_a_regressor_agrees_with_scikit_learn(tmp_path):
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, random_state=0)
    predictor, lines = train(tmp_path, X, y, X_test, y_test, k=9, predictor_type="regressor")
    reference = KNeighborsRegressor(9, algorithm="brute").fit(X, y)
    predicted = predictor.predict(X_test)["predicted_label"]
    np.testing.assert_allclose(predicted, reference.predict(X_test), rtol=1e-5)
    mse = np.mean((reference.predict(X_test) - y_test) ** 2)
    line = next(line for line in lines if "test mse <score>=" in line)
    assert float(line.rpartition("=")[2]) == pytest.approx(mse, rel=1e-5)
    assert any(line.startswith("#test_score (algo-1) : ('mse', ") for line in lines)


def test_inner_product_finds_the_largest_products(digits, tmp_path):
    X, X_test, y, _ = digits
    predictor, _ = train(tmp_path, X, y, k=4, index_metric="INNER_PRODUCT")
    distances = predictor.predict(X_test.astype(np.float32), verbose=True)["distances"]
    expected = np.sort(X_test @ X.T, axis=1)[:, ::-1][:, :4]
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("index", "least"),
    [
        ({"index_type": "faiss.IVFFlat"}, 0.96),
        ({"index_type": "faiss.IVFFlat", "index_metric": "COSINE"}, 0.96),
        ({"index_type": "faiss.IVFFlat", "index_metric": "INNER_PRODUCT"}, 0.7),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "16", "faiss_index_ivf_nlists": "20"}, 0.95),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "12"}, 0.9),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": "40"}, 0.93),
        ({"dimension_reduction_type": "fjlt", "dimension_reduction_target": "40"}, 0.93),
        (
            {
                "index_type": "faiss.IVFPQ",
                "faiss_index_pq_m": "12",
                "dimension_reduction_type": "sign",
                "dimension_reduction_target": "40",
            },
            0.85,
        ),
    ],
)
def test_every_index_classifies_digits_well(digits, index, least, tmp_path):
    X, X_test, y, y_test = digits
    predictor, _ = train(tmp_path, X, y, k=3, **index)
    predicted = predictor.predict(X_test.astype(np.float32))["predicted_label"]
    assert np.mean(predicted == y_test) > least


def test_iris_gives_37_of_38(tmp_path):
    X, X_test, y, y_test = train_test_split(*load_iris(return_X_y=True), random_state=0)
    assert (len(X), len(X_test)) == (112, 38)
    predictor, lines = train(tmp_path, X, y, X_test, y_test, k=1)
    predicted = predictor.predict(X_test.astype(np.float32))["predicted_label"]
    assert (predicted == y_test).sum() == 37
    assert f"#test_score (algo-1) : ('accuracy', {37 / 38!r})" in lines
    assert f"#quality_metric: host=algo-1, test accuracy <score>={37 / 38!r}" in lines
    assert "...Got reservoir sample from algo-1: data=(112, 4), labels=(112,), NaNs=0" in lines


def test_labels_may_be_sparse_negative_and_fractional(tmp_path):
    X = np.repeat(np.arange(4.0), 5)[:, None]
    y = np.repeat([-7.0, 3.0, 0.5, 16_777_216.0], 5)
    predictor, _ = train(tmp_path, X, y, k=5)
    predicted = predictor.predict(np.array([[-0.1], [1.1], [2.1], [9]], np.float32))["predicted_label"]
    assert predicted.tolist() == [-7, 3, 0.5, 16_777_216]


def test_only_sample_size_rows_are_kept(digits, tmp_path):
    X, _, y, _ = digits
    _, lines = train(tmp_path, X, y, sample_size=100)
    assert "Using per-worker sample size = 100" in lines
    assert "...Got reservoir sample from algo-1: data=(100, 64), labels=(100,), NaNs=0" in lines
    assert (tmp_path / "model_algo-1.labels").stat().st_size == 4 * 100


def test_the_number_of_threads_does_not_change_predictions(digits, tmp_path):
    X, X_test, y, _ = digits
    train(tmp_path, X, y, k=3)
    one, two = (
        KNN().load(tmp_path, n_threads=n).predict(X_test.astype(np.float32), verbose=True) for n in (1, 2)
    )
    for name in one:
        assert np.array_equal(one[name], two[name])


@pytest.mark.parametrize(
    ("given", "name", "said"),
    [
        ({"k": "1348"}, "k", "1348 exceeds the 1347 rows of the train channel"),
        ({"feature_dim": "63"}, "feature_dim", "63 differs from the 64 feature columns"),
        (
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": "1348"},
            "faiss_index_ivf_nlists",
            "the sample has 1347",
        ),
        (
            {"dimension_reduction_type": "sign", "dimension_reduction_target": "64"},
            "dimension_reduction_target",
            "64 is not less than feature_dim 64",
        ),
    ],
)
def test_a_running_job_says_the_same_as_the_form(digits, given, name, said, tmp_path):
    X, _, y, _ = digits
    facts = DataFacts(n_rows=len(X), n_features=64)
    texts = {"predictor_type": "classifier", "k": "3", "sample_size": "5000"} | given
    with pytest.raises(InvalidRequest) as before:
        algorithm_get("knn").validate(texts, facts)
    with pytest.raises(InvalidRequest) as running:
        train(
            tmp_path,
            X,
            y,
            sample_size=5000,
            **({"k": 3} | given | ({"k": int(given["k"])} if "k" in given else {})),
        )
    assert running.value.message == before.value.message
    assert f"hyperparameters.{name}: " in running.value.message
    assert said in running.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_batch_larger_than_a_block_is_predicted_whole(tmp_path):
    X = np.arange(3000, dtype=np.float32)[:, None]
    predictor, _ = train(tmp_path, X, X[:, 0], k=2000, predictor_type="regressor")
    prediction = predictor.predict(np.full((2200, 1), -1, np.float32), verbose=True)
    assert prediction["predicted_label"].tolist() == [999.5] * 2200
    assert prediction["labels"].shape == (2200, 2000)


def test_a_train_channel_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="the train channel has no rows"):
        train(tmp_path, np.empty((0, 3)), np.empty(0))


def test_a_test_channel_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="the test channel has no rows"):
        train(tmp_path, np.eye(3), np.arange(3), np.empty((0, 3)), np.empty(0), k=1)
