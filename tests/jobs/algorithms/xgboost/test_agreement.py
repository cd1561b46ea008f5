"""XGBoost as a job answers what the library itself answers, and refuses what it cannot learn in words."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from jobs.algorithms.base import DataFacts, LabelFacts
from jobs.algorithms.xgboost.booster import FILE, LoadedBooster, booster_train
from jobs.algorithms.xgboost.labels import labels_check
from jobs.algorithms.xgboost.own_metrics import accuracy, f1_macro, mse
from jobs.algorithms.xgboost.spec import SPEC
from mlplatform.core.errors import DataError, InvalidRequest
from tests.contracts.job_folder import JobFolder, JobResult, csv_text


def run(root: Path, X: np.ndarray, y: np.ndarray, *, validation: bool = False, **given: str) -> JobResult:
    """A job trained on four fifths of the rows; validated and tested with the others."""
    order = np.random.default_rng(5).permutation(len(X))
    train, rest = order[len(X) // 5 :], order[: len(X) // 5]
    channels = {"train": csv_text(X[train], y[train]), "test": csv_text(X[rest], y[rest])}
    if validation:
        channels["validation"] = csv_text(X[rest], y[rest])
    folder = JobFolder(root, "xgboost", {"num_round": "10", **given}, channels)
    return folder.prepare().run()


def trained(root: Path, loader, **given: str) -> tuple[JobResult, np.ndarray, np.ndarray]:
    X, y = loader(return_X_y=True)
    X = X.astype(np.float32)
    result = run(root, X, y.astype(np.float32), **given)
    assert result.returncode == 0, result.err
    return result, X, y


@pytest.mark.parametrize(
    ("loader", "given"),
    [
        (load_breast_cancer, {"objective": "binary:logistic", "max_depth": "4"}),
        (load_iris, {"objective": "multi:softprob", "num_class": "3", "tree_method": "exact"}),
        (load_diabetes, {"objective": "reg:squarederror", "subsample": "0.7", "seed": "4"}),
    ],
)
def test_predictions_are_those_of_the_library(tmp_path: Path, loader, given: dict[str, str]) -> None:
    result, X, _y = trained(tmp_path, loader, **given)
    booster = xgb.Booster()
    booster.load_model(bytearray((result.model_dir / FILE).read_bytes()))
    expected = booster.predict(xgb.DMatrix(X))
    predictor = SPEC.engine_load().load(result.model_dir, n_threads=2)
    np.testing.assert_allclose(predictor.predict(X)["score"], expected, atol=1e-6, rtol=0)
    alone = np.concatenate([predictor.predict(row[None])["score"] for row in X])
    np.testing.assert_allclose(alone, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("early", [None, (5, None, None)], ids=["all rounds", "early stopping"])
@pytest.mark.parametrize(
    "given",
    [{}, {"booster": "dart", "rate_drop": 0.2}, {"tree_method": "exact"}, {"tree_method": "approx"}],
    ids=str,
)
def test_boosting_makes_the_librarys_own_model(
    given: dict[str, Any], early: tuple[int, str | None, bool | None] | None
) -> None:
    X, y = (part.astype(np.float32) for part in load_diabetes(return_X_y=True))
    parameters = {"tree_method": "hist", "max_bin": 64, "nthread": 1, "seed": 3, "subsample": 0.8, "eta": 0.4}
    parameters |= given
    rounds: list[int] = []
    ours = booster_train(
        parameters,
        n_rounds=60,
        train=(X[:300], y[:300]),
        validation=(X[300:], y[300:]),
        own_metrics=[],
        early_stopping=early,
        on_round=lambda number, scores: rounds.append(number),
    )
    quantile = parameters["tree_method"] == "hist"
    train = xgb.QuantileDMatrix(X[:300], y[:300], max_bin=64) if quantile else xgb.DMatrix(X[:300], y[:300])
    rest = (
        xgb.QuantileDMatrix(X[300:], y[300:], max_bin=64, ref=train)
        if quantile
        else xgb.DMatrix(X[300:], y[300:])
    )
    stopping = [] if early is None else [xgb.callback.EarlyStopping(rounds=5, data_name="validation")]
    theirs = xgb.train(
        parameters,
        train,
        60,
        evals=[(train, "train"), (rest, "validation")],
        callbacks=stopping,
        verbose_eval=False,
    )
    if early is not None:
        assert len(rounds) == theirs.num_boosted_rounds() < 60
        theirs = theirs[: theirs.best_iteration + 1]
    assert ours.save_raw("ubj") == theirs.save_raw("ubj")


def test_a_row_with_a_missing_value_is_answered_as_the_library_does(tmp_path: Path) -> None:
    result, X, _y = trained(tmp_path, load_diabetes)
    booster = LoadedBooster(result.model_dir, n_threads=1)
    X[:, 2] = np.nan
    np.testing.assert_array_equal(booster.scores(X), np.concatenate([booster.scores(row[None]) for row in X]))


def test_threads_that_ask_at_once_get_the_answers_to_their_own_rows(tmp_path: Path) -> None:
    result, X, _y = trained(tmp_path, load_iris, objective="multi:softprob", num_class="3")
    booster = LoadedBooster(result.model_dir, n_threads=2)
    rows = [X[position % len(X)][None] for position in range(2000)]
    with ThreadPoolExecutor(4) as threads:
        found = np.concatenate(list(threads.map(booster.scores, rows)))
    np.testing.assert_array_equal(found[: len(X)], booster.scores(X))
    np.testing.assert_array_equal(found, booster.scores(np.concatenate(rows)))


def test_early_stopping_keeps_the_best_round_and_the_test_rows_are_scored(tmp_path: Path) -> None:
    given = {"objective": "reg:squarederror", "early_stopping_rounds": "5", "num_round": "500"}
    result, _X, _y = trained(tmp_path, load_diabetes, validation=True, eta="0.5", **given)
    scores = [float(found) for found in re.findall(r"#011validation-rmse:(\S+)", result.out)]
    booster = xgb.Booster()
    booster.load_model(bytearray((result.model_dir / FILE).read_bytes()))
    assert booster.num_boosted_rounds() == int(np.argmin(scores)) + 1 == len(scores) - 5
    found = re.search(r"test rmse <score>=(\S+)", result.out)
    assert found and float(found.group(1)) == pytest.approx(min(scores), rel=1e-4)


def test_a_damaged_model_does_not_reach_the_library_which_would_end_the_process(tmp_path: Path) -> None:
    result, _X, _y = trained(tmp_path, load_diabetes)
    path = result.model_dir / FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(Exception, match="xgboost-model is damaged"):
        SPEC.engine_load().load(result.model_dir, n_threads=1)


def test_labels_that_do_not_begin_at_0_are_explained(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    result = run(tmp_path, X, y + 1, objective="multi:softmax", num_class="3")
    assert result.returncode == 1
    assert "counted from 0" in result.failure["message"]
    assert "num_class of 4" in result.failure["message"]


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    result = run(tmp_path, X, np.zeros_like(y), objective="binary:logistic")
    assert result.failure_text.startswith(
        "ClientError: hyperparameters.objective: binary:logistic tells classes"
    )


def test_early_stopping_without_a_validation_channel_is_refused(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    result = run(tmp_path, X, y, early_stopping_rounds="3")
    assert result.failure_text.startswith("ClientError: hyperparameters.early_stopping_rounds: ")


@pytest.mark.parametrize(
    ("objective", "labels", "said"),
    [
        ("binary:logistic", [0, 1, 2], "number the classes from 0"),
        ("binary:logistic", [0, 0.5, 1], "classes 0 to 1"),
        ("reg:logistic", [0, 1.5], "from 0 to 1"),
        ("reg:gamma", [1, 0], "above 0"),
        ("count:poisson", [0, -1], "at least 0"),
        ("reg:squaredlogerror", [0, -1], "above -1"),
    ],
)
def test_labels_outside_of_an_objective_are_refused(objective: str, labels: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        labels_check(np.array(labels, np.float32), objective=objective, num_class=None, channel="train")


@pytest.mark.parametrize(
    ("given", "facts", "field"),
    [
        ({"objective": "multi:softmax"}, DataFacts(), "num_class"),
        ({"objective": "multi:softmax", "num_class": "3"}, DataFacts(n_classes=4), "num_class"),
        ({"num_class": "3"}, DataFacts(), "num_class"),
        ({"objective": "binary:logistic"}, DataFacts(n_classes=3), "objective"),
        ({"objective": "binary:logistic"}, DataFacts(n_classes=1), "objective"),
        ({}, DataFacts(label_is_text=True), "objective"),
        ({"eval_metric": "rmse,auc"}, DataFacts(), "eval_metric"),
        ({"eval_metric": "rmsee"}, DataFacts(), "eval_metric"),
        ({"objective": "binary:logitraw", "eval_metric": "f1"}, DataFacts(), "eval_metric"),
        ({"objective": "binary:logistic", "base_score": "3"}, DataFacts(), "base_score"),
        ({"tree_method": "exact", "max_depth": "0"}, DataFacts(), "max_depth"),
    ],
)
def test_rules(given: dict[str, str], facts: DataFacts, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SPEC.validate({"num_round": "1", **given}, facts)
    assert [error.field for error in caught.value.errors] == [f"hyperparameters.{field}"]


def test_what_it_predicts_and_suggests() -> None:
    assert SPEC.predictor_type({"objective": "multi:softprob"}) == "classifier"
    assert SPEC.predictor_type({}) == "regressor"
    assert SPEC.suggests(LabelFacts(is_classes=False)) == {"objective": "reg:squarederror"}
    assert SPEC.suggests(LabelFacts(is_classes=True, n_distinct=7, largest=7))["num_class"] == "8"


def test_own_metrics() -> None:
    scores, y = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1])
    assert accuracy(scores, y) == pytest.approx(2 / 3)
    assert f1_macro(scores, y) == pytest.approx(2 / 3)
    assert mse(np.array([1.0, 3.0], np.float32), np.array([1, 1])) == 2
