"""The model's files: what is in them, that older ones are read, and that what does not belong together is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.algorithms.base import Predictor
from jobs.algorithms.knn.engine import KNN
from jobs.algorithms.registry import algorithm_get
from mlplatform.core.errors import ModelError
from tests.jobs.algorithms.knn.test_agreement import ArrayChannel, ArrayContext

JSON = "model_algo-1.json"


def rows_of_two_widths(n: int, *, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.hstack([random.integers(0, 1000, (n, 3)), random.integers(0, 2, (n, 5))]).astype(np.float32)


def train(folder: Path, *, n: int = 300, **given: str) -> tuple[Predictor, ArrayContext, np.ndarray]:
    folder.mkdir(exist_ok=True)
    X = rows_of_two_widths(n)
    texts = {"predictor_type": "classifier", "k": "5", "sample_size": "100000"} | given
    channel = ArrayChannel("train", X, np.arange(n) % 7)
    context = ArrayContext(algorithm_get("knn").validate(texts), {"train": channel}, folder)
    KNN().train(context)
    return KNN().load(folder, n_threads=1), context, X


def edited(folder: Path, **changes: object) -> None:
    description = json.loads((folder / JSON).read_text())
    for name, value in changes.items():
        if value is None:
            del description[name]
        else:
            description[name] = value
    (folder / JSON).write_text(json.dumps(description))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    train(folder, n=25_000)
    return folder


def test_neighbours_are_told_by_their_rows_in_the_train_channel(tmp_path):
    predictor, _, X = train(tmp_path, sample_size="200")
    found = predictor.predict(X[:20], verbose=True)
    assert found["rows"].dtype == np.int64
    assert found["rows"].shape == (20, 5)
    assert found["rows"].min() >= 1
    assert found["rows"].max() <= 300
    distances = ((X[:20, None] - X[found["rows"] - 1]) ** 2).sum(2)
    assert np.array_equal(distances, found["distances"])
    assert np.array_equal((found["rows"] - 1) % 7, found["labels"])
    assert (tmp_path / "model_algo-1.rows").stat().st_size == 8 * 200
    assert set(predictor.predict(X[:3])) == {"predicted_label"}


def test_an_older_model_without_rows_and_engine_is_read(tmp_path):
    predictor, _, X = train(tmp_path)
    expected = predictor.predict(X[:50], verbose=True)
    (tmp_path / "model_algo-1.rows").unlink()
    edited(tmp_path, row_numbers=None, engine=None, ef_search=None)
    found = KNN().load(tmp_path, n_threads=1).predict(X[:50], verbose=True)
    assert found.keys() == expected.keys() - {"rows"}
    for name, column in found.items():
        assert np.array_equal(column, expected[name])


def test_row_numbers_of_another_model_are_refused(tmp_path):
    train(tmp_path)
    (tmp_path / "model_algo-1.rows").write_bytes(np.arange(299, dtype="<i8").tobytes())
    with pytest.raises(ModelError, match=r"300 rows in model_algo-1, 299 in model_algo-1\.rows"):
        KNN().load(tmp_path, n_threads=1)


def test_the_log_the_model_and_its_manifest_say_how_it_searches(tmp_path):
    _, context, _ = train(tmp_path)
    said = "brute force: fewer than 20,000 rows need nothing faster"
    assert f"Exact search: {said}" in context.lines
    assert context.facts["engine"]["name"] == "flat"
    assert context.facts["engine"]["reason"] == said
    assert json.loads((tmp_path / JSON).read_text())["engine"]["name"] == "flat"


def test_an_index_that_is_not_exact_says_nothing_of_engines(tmp_path):
    _, context, _ = train(tmp_path, index_type="faiss.IVFFlat")
    assert context.facts == {}
    assert not any("Exact search" in line for line in context.lines)
    assert json.loads((tmp_path / JSON).read_text())["engine"] is None


def test_the_models_files_have_no_times(large):
    description = json.loads((large / JSON).read_text())
    assert set(description["engine"]) == {"name", "single", "batch", "columns", "n_candidates"}


@pytest.mark.parametrize(
    "engine",
    [
        {"name": "flat"},
        {"name": "tree", "single": "tree", "batch": "flat", "columns": [0, 1], "n_candidates": 9},
        {"name": "tree", "single": "flat", "batch": "tree", "columns": [2], "n_candidates": 5},
        {"name": "tree", "single": "tree", "batch": "tree", "columns": [7, 0], "n_candidates": 400},
    ],
)
def test_whatever_engine_was_chosen_gives_the_same_predictions(large, engine, tmp_path):
    X = rows_of_two_widths(200, seed=1)
    expected = KNN().load(large, n_threads=1).predict(X, verbose=True)
    for path in large.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    edited(tmp_path, engine=engine)
    predictor = KNN().load(tmp_path, n_threads=1)
    for found, rows in (
        (predictor.predict(X, verbose=True), slice(0, 200)),
        (predictor.predict(X[:1], verbose=True), slice(0, 1)),
    ):
        for name, column in found.items():
            assert np.array_equal(column, expected[name][rows])


@pytest.mark.parametrize(
    "engine",
    [
        {"name": "tree", "single": "tree", "batch": "tree", "columns": [0, 0], "n_candidates": 9},
        {"name": "tree", "single": "tree", "batch": "tree", "columns": [8], "n_candidates": 9},
        {"name": "tree", "single": "tree", "batch": "tree", "columns": [0], "n_candidates": 4},
        {"name": "ball"},
        "tree",
    ],
)
def test_an_engine_that_does_not_fit_is_refused(engine, tmp_path):
    train(tmp_path)
    edited(tmp_path, engine=engine)
    with pytest.raises(ModelError, match="engine"):
        KNN().load(tmp_path, n_threads=1)


def test_an_engine_of_an_index_that_has_none_is_refused(tmp_path):
    train(tmp_path, index_type="faiss.HNSW32")
    edited(tmp_path, engine={"name": "flat"})
    with pytest.raises(ModelError, match="engine"):
        KNN().load(tmp_path, n_threads=1)


def test_cosine_by_a_tree_is_cosine_by_brute_force(tmp_path):
    X = rows_of_two_widths(120, seed=1)
    predictor, _, _ = train(tmp_path, n=3000, index_metric="COSINE")
    expected = predictor.predict(X, verbose=True)
    engine = {"name": "tree", "single": "tree", "batch": "tree", "columns": [0, 1], "n_candidates": 12}
    edited(tmp_path, engine=engine)
    found = KNN().load(tmp_path, n_threads=1).predict(X, verbose=True)
    for name, column in found.items():
        assert np.array_equal(column, expected[name])
