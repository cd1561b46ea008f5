"""CatBoost as a job answers what the library itself answers, and refuses what it cannot learn in words."""

from __future__ import annotations

from pathlib import Path

import catboost
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from jobs.algorithms.base import DataFacts, LabelFacts
from jobs.algorithms.catboost.ensemble import FILE
from jobs.algorithms.catboost.spec import SPEC
from mlplatform.core.errors import InvalidRequest
from tests.contracts.job_folder import JobFolder, JobResult, csv_text


def run(
    root: Path, X: np.ndarray, y: np.ndarray, validation: np.ndarray | None = None, **given: str
) -> JobResult:
    channels = {"train": csv_text(X, y)}
    if validation is not None:
        channels["validation"] = csv_text(X, validation)
    hyperparameters = {"iterations": "20", "depth": "4", **given}
    return JobFolder(root, "catboost", hyperparameters, channels).prepare().run()


@pytest.mark.parametrize(
    ("loader", "loss", "kind"),
    [
        (load_breast_cancer, "Logloss", "Probability"),
        (load_iris, "MultiClass", "Probability"),
        (load_diabetes, "RMSE", "RawFormulaVal"),
    ],
)
def test_predictions_are_those_of_the_library(tmp_path: Path, loader, loss: str, kind: str) -> None:
    X, y = loader(return_X_y=True)
    X = X.astype(np.float32)
    X[3, 1] = np.nan
    text = csv_text(X, y).replace("nan", "")
    folder = JobFolder(
        tmp_path, "catboost", {"iterations": "20", "depth": "4", "loss_function": loss}, {"train": text}
    )
    result = folder.prepare().run()
    assert result.returncode == 0, result.err
    assert not (tmp_path / "catboost_info").exists()
    found = SPEC.engine_load().load(result.model_dir, n_threads=1).predict(X)
    library = catboost.CatBoost(
        {
            "iterations": 20,
            "depth": 4,
            "loss_function": loss,
            "l2_leaf_reg": 3,
            "random_seed": 0,
            "thread_count": 1,
            "border_count": 254,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
    )
    expected = library.fit(X, y).predict(X, prediction_type=kind)
    np.testing.assert_allclose(
        found["score"], expected[:, 1] if loss == "Logloss" else expected, rtol=1e-5, atol=1e-6
    )
    if loss != "RMSE":
        np.testing.assert_array_equal(found["predicted_label"], expected.argmax(axis=1))


def test_the_best_iteration_on_the_validation_rows_is_kept(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    shuffled = np.random.default_rng(0).permutation(y)
    result = run(tmp_path, X, y, shuffled, early_stopping_rounds="3", learning_rate="0.5", iterations="200")
    assert result.returncode == 0, result.err
    kept = catboost.CatBoost().load_model(str(result.model_dir / FILE)).tree_count_
    lines = [line for line in result.out.splitlines() if " validation RMSE=" in line]
    scores = [float(line.rpartition("validation RMSE=")[2]) for line in lines]
    assert kept == int(np.argmin(scores)) + 1 < len(scores) < 200


def test_a_label_that_only_the_validation_channel_has_is_named(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    result = run(tmp_path, X, y, np.where(y == 2, 9, y), loss_function="MultiClass")
    assert result.failure["kind"] == "data_error"
    assert "the label 9 does not occur in the train channel (validation channel)" in result.failure["message"]


def test_what_the_library_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    result = run(tmp_path, np.zeros_like(X), y)
    assert result.failure_text.startswith("ClientError: CatBoost cannot train on this data: ")
    assert ".cpp" not in result.failure_text


@pytest.mark.parametrize(
    ("given", "facts", "field"),
    [
        ({"loss_function": "Logloss"}, DataFacts(n_classes=3), "loss_function"),
        ({"loss_function": "MultiClass"}, DataFacts(n_classes=1), "loss_function"),
        ({}, DataFacts(label_is_text=True), "loss_function"),
        ({"eval_metric": "AUC"}, DataFacts(), "eval_metric"),
        ({"min_data_in_leaf": "3"}, DataFacts(), "min_data_in_leaf"),
        ({"max_leaves": "3"}, DataFacts(), "max_leaves"),
        ({"boosting_type": "Ordered", "grow_policy": "Depthwise"}, DataFacts(), "boosting_type"),
        ({"subsample": "0.5"}, DataFacts(), "subsample"),
        ({"bagging_temperature": "0.5"}, DataFacts(), "bagging_temperature"),
        ({"scale_pos_weight": "2"}, DataFacts(), "scale_pos_weight"),
    ],
)
def test_rules(given: dict[str, str], facts: DataFacts, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SPEC.validate(given, facts)
    assert [error.field for error in caught.value.errors] == [f"hyperparameters.{field}"]


def test_what_it_predicts_and_suggests() -> None:
    assert SPEC.predictor_type({"loss_function": "MultiClass"}) == "classifier"
    assert SPEC.predictor_type({}) == "regressor"
    assert SPEC.suggests(LabelFacts(is_classes=True, n_distinct=3)) == {"loss_function": "MultiClass"}
