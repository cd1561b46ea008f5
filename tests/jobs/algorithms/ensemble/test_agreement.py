"""An ensemble answers what its members answer, each loaded by itself, and cross-validates by the book."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from jobs.algorithms.ensemble.blending import blend_stacked
from jobs.algorithms.ensemble.folds import folds_draw
from jobs.algorithms.registry import algorithm_get
from mlplatform.core.errors import DataError
from tests.contracts.job_folder import JobFolder, JobResult, csv_text

SMALL = {"xgboost__num_round": "20", "catboost__iterations": "50"}


def trained(X: np.ndarray, y: np.ndarray, root: Path, **given: str) -> JobResult:
    small = {name: value for name, value in SMALL.items() if name.partition("__")[0] in given["members"]}
    values = {**small, "n_folds": "3", **given}
    result = JobFolder(root, "ensemble", values, {"train": csv_text(X, y)}).prepare().run()
    assert (result.returncode, result.err) == (0, "")
    return result


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return X.astype(np.float32), y.astype(np.float32)


def test_the_mean_is_the_mean_of_members_loaded_by_themselves(tmp_path: Path) -> None:
    X, y = diabetes()
    result = trained(X, y, tmp_path, task="regressor", members="catboost,xgboost")
    members = [
        algorithm_get(kind).engine_load().load(result.model_dir / "members" / folder, n_threads=1)
        for kind, folder in (("catboost", "1-catboost"), ("xgboost", "2-xgboost"))
    ]
    scores = [member.predict(X)["score"].astype(np.float64) for member in members]
    found = (
        algorithm_get("ensemble").engine_load().load(result.model_dir, n_threads=1).predict(X, verbose=True)
    )
    np.testing.assert_allclose(found["score"], np.mean(scores, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(found["catboost_score"], scores[0].astype(np.float32))
    np.testing.assert_array_equal(found["xgboost_score"], scores[1].astype(np.float32))


def test_a_member_is_the_model_that_a_job_of_its_own_trains(tmp_path: Path) -> None:
    X, y = diabetes()
    result = trained(X, y, tmp_path / "ensemble", task="regressor", n_folds="0", members="xgboost")
    alone = JobFolder(tmp_path / "alone", "xgboost", {"num_round": "20"}, {"train": csv_text(X, y)})
    assert (
        result.model_dir.joinpath("members/1-xgboost/xgboost-model").read_bytes()
        == alone.prepare().run().model_dir.joinpath("xgboost-model").read_bytes()
    )


def test_two_labels_are_blended_as_probabilities_by_given_weights(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X.astype(np.float32)[:200], (5 * y + 2).astype(np.float32)[:200]
    given = {"task": "classifier", "blend": "weighted", "weights": "3,1", "n_folds": "0"}
    result = trained(X, y, tmp_path, members="xgboost,knn", **given)
    found = (
        algorithm_get("ensemble").engine_load().load(result.model_dir, n_threads=1).predict(X, verbose=True)
    )
    blended = 0.75 * found["xgboost_score"] + 0.25 * found["knn_score"]
    np.testing.assert_allclose(found["score"], blended, atol=1e-6)
    np.testing.assert_array_equal(found["predicted_label"], np.where(found["score"] > 0.5, 7, 2))


@pytest.mark.parametrize("blend", ["weighted", "stacked"])
def test_learned_weights_are_in_the_log_and_no_worse_than_the_worst_member(
    blend: str, tmp_path: Path
) -> None:
    X, y = diabetes()
    result = trained(X, y, tmp_path, task="regressor", blend=blend, members="xgboost,linear-learner,knn")
    scores = {
        name: float(value)
        for name, value in re.findall(r"host=algo-1, (cv\S*) rmse <score>=(\S+)", result.out)
    }
    assert set(scores) == {"cv", "cv:xgboost", "cv:linear-learner", "cv:knn"}
    assert scores["cv"] < max(scores["cv:xgboost"], scores["cv:knn"]) < y.std()
    weights = re.search(
        rf"Blend {blend}: xgboost (\S+), linear-learner (\S+), knn (\S+), constant", result.out
    )
    assert weights is not None
    assert all(0 <= float(weight) <= 1.5 for weight in weights.groups())


def test_stacking_finds_the_weights_that_made_the_labels() -> None:
    random = np.random.default_rng(1)
    answers = [random.normal(size=(500, 1)) for _member in range(3)]
    y = (2 + 0.7 * answers[0] + 0.2 * answers[1] - 0.5 * answers[2])[:, 0].astype(np.float32)
    blend = blend_stacked(answers, y)
    assert blend.weights[2] == 0  # none is below 0
    exact = blend_stacked(answers[:2], (2 + 0.7 * answers[0] + 0.2 * answers[1])[:, 0].astype(np.float32))
    assert (*exact.weights, exact.constant) == pytest.approx((0.7, 0.2, 2), abs=1e-5)


def test_folds_are_as_large_as_can_be_and_have_all_labels() -> None:
    from jobs.algorithms.class_labels import ClassLabels

    y = np.repeat(np.arange(3, dtype=np.float32), (50, 30, 23))
    folds = folds_draw(y, n_folds=5, seed=4, labels=ClassLabels.of(y))
    counts = np.array([[((folds == fold) & (y == label)).sum() for label in range(3)] for fold in range(5)])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
    lone = np.array([0, 0, 1, 1, 2], np.float32)
    with pytest.raises(DataError, match="the label 2 has one row only"):
        folds_draw(lone, n_folds=2, seed=0, labels=ClassLabels.of(lone))
