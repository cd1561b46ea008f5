"""linear-learner finds what scikit-learn's exact solvers find, and refuses what it cannot learn in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, QuantileRegressor
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from jobs.algorithms.base import DataFacts, LabelFacts
from jobs.algorithms.linear_learner.descent import Weights, batch_rows, epochs
from jobs.algorithms.linear_learner.losses import loss_make
from jobs.algorithms.linear_learner.rules import LOSSES
from jobs.algorithms.linear_learner.scores import roc_auc
from jobs.algorithms.linear_learner.spec import SPEC
from mlplatform.core.errors import InvalidRequest
from tests.contracts.job_folder import JobFolder, csv_text


def descended(X: np.ndarray, y: np.ndarray, *, n_answers: int = 1, **given: str) -> Weights:
    """Many small steps, so that the exact solution is reached."""
    values = SPEC.validate({"epochs": "150", "mini_batch_size": "64", **given})
    weights = Weights.zeros(X.shape[1], n_answers)
    loss = loss_make(values["loss"], values)
    for _loss in epochs(weights, X.astype(np.float32), y.astype(np.float64), None, loss=loss, values=values):
        pass
    return weights


def scaled(loader) -> tuple[np.ndarray, np.ndarray]:
    X, y = loader(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32), y


def test_squared_loss_is_linear_regression() -> None:
    X, y = scaled(load_diabetes)
    y = (y - y.mean()) / y.std()
    expected = LinearRegression().fit(X, y)
    found = descended(X, y, predictor_type="regressor", loss="squared_loss", learning_rate="0.05")
    np.testing.assert_allclose(found(X)[:, 0], expected.predict(X), atol=0.05)


def test_l1_is_the_lasso_and_makes_weights_zero() -> None:
    X, y = scaled(load_diabetes)
    y = (y - y.mean()) / y.std()
    expected = Lasso(alpha=0.1).fit(X, y)
    found = descended(
        X, y, predictor_type="regressor", loss="squared_loss", l1="0.2", optimizer="sgd", learning_rate="0.02"
    )
    assert ((found.W[:, 0] == 0) & (expected.coef_ == 0)).sum() >= 5
    np.testing.assert_allclose(found.W[:, 0], expected.coef_, atol=0.02)


def test_logistic_with_weight_decay_is_logistic_regression() -> None:
    X, y = scaled(load_breast_cancer)
    expected = LogisticRegression(C=1 / (0.01 * len(X))).fit(X, y)
    found = descended(
        X, y, predictor_type="binary_classifier", loss="logistic", wd="0.01", learning_rate="0.02"
    )
    np.testing.assert_allclose(found.W[:, 0], expected.coef_[0], atol=0.03)


def test_softmax_with_weight_decay_is_multinomial_logistic_regression() -> None:
    X, y = scaled(load_iris)
    expected = LogisticRegression(C=1 / (0.01 * len(X))).fit(X, y)
    found = descended(
        X,
        y,
        n_answers=3,
        predictor_type="multiclass_classifier",
        num_classes="3",
        loss="softmax_loss",
        wd="0.01",
        learning_rate="0.02",
    )
    np.testing.assert_allclose(found.W, expected.coef_.T, atol=0.05)


def test_quantile_loss_is_quantile_regression() -> None:
    X, y = scaled(load_diabetes)
    y = (y - y.mean()) / y.std()
    expected = QuantileRegressor(quantile=0.9, alpha=0).fit(X, y)
    found = descended(
        X, y, predictor_type="regressor", loss="quantile_loss", quantile="0.9", learning_rate="0.02"
    )
    assert np.mean(y < found(X)[:, 0]) == pytest.approx(0.9, abs=0.02)
    assert np.corrcoef(found(X)[:, 0], expected.predict(X))[0, 1] > 0.98


@pytest.mark.parametrize("name", sorted({name for names in LOSSES.values() for name in names}))
def test_a_derivative_is_that_of_its_loss(name: str) -> None:
    values = {"quantile": 0.3, "huber_delta": 0.7}
    loss = loss_make(name, values)
    many = name == "softmax_loss"
    random = np.random.default_rng(2)
    for label in (0.0, 1.0):
        z, y = random.normal(size=3 if many else 1), np.array([label])
        numeric = approx_fprime(z, lambda point, y=y: float(loss(point[None], y)[0][0]), 1e-7)
        np.testing.assert_allclose(loss(z[None].copy(), y)[1][0], numeric, atol=1e-5)


def test_roc_auc_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    score = random.integers(0, 9, 200).astype(np.float32)
    y = (random.random(200) < score / 9).astype(np.float32)
    assert roc_auc(score, y) == pytest.approx(roc_auc_score(y, score))
    assert np.isnan(roc_auc(score, np.ones(200, np.float32)))


def test_a_job_without_tuning_comes_near_the_exact_solution(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    channels = {"train": csv_text(X, y), "validation": csv_text(X, y)}
    result = JobFolder(tmp_path, "linear-learner", {"predictor_type": "regressor"}, channels).prepare().run()
    assert result.returncode == 0, result.err
    predictor = SPEC.engine_load().load(result.model_dir, n_threads=1)
    score = predictor.predict(X.astype(np.float32))["score"]
    exact = LinearRegression().fit(X, y).predict(X)
    assert np.mean((score - y) ** 2) < 1.05 * np.mean((exact - y) ** 2)
    assert "validation rmse <score>=" in result.out


@pytest.mark.parametrize(
    ("labels", "given", "said"),
    [
        ([1, 2], {"predictor_type": "binary_classifier"}, "the label 2 is none of the classes 0 to 1"),
        ([0, 0], {"predictor_type": "binary_classifier"}, "tells classes apart"),
        ([1, 3], {"predictor_type": "multiclass_classifier", "num_classes": "3"}, "classes 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_explained(
    tmp_path: Path, labels: list[int], given: dict[str, str], said: str
) -> None:
    X, y = np.ones((20, 2)), np.tile(labels, 10)
    result = JobFolder(tmp_path, "linear-learner", given, {"train": csv_text(X, y)}).prepare().run()
    assert result.returncode == 1
    assert said in result.failure_text


@pytest.mark.parametrize(
    ("given", "facts", "field"),
    [
        ({"predictor_type": "multiclass_classifier"}, DataFacts(), "num_classes"),
        ({"predictor_type": "regressor", "num_classes": "3"}, DataFacts(), "num_classes"),
        ({"predictor_type": "regressor", "loss": "logistic"}, DataFacts(), "loss"),
        ({"predictor_type": "regressor"}, DataFacts(label_is_text=True), "predictor_type"),
        ({"predictor_type": "regressor", "feature_dim": "4"}, DataFacts(n_features=5), "feature_dim"),
        ({"predictor_type": "binary_classifier"}, DataFacts(n_classes=3), "predictor_type"),
        (
            {"predictor_type": "regressor", "positive_example_weight_mult": "2"},
            DataFacts(),
            "positive_example_weight_mult",
        ),
    ],
)
def test_rules(given: dict[str, str], facts: DataFacts, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SPEC.validate(given, facts)
    assert [error.field for error in caught.value.errors] == [f"hyperparameters.{field}"]


def test_what_it_predicts_suggests_and_steps() -> None:
    assert SPEC.predictor_type({"predictor_type": "binary_classifier"}) == "classifier"
    assert SPEC.suggests(LabelFacts(is_classes=True, n_distinct=2, largest=1)) == {
        "predictor_type": "binary_classifier"
    }
    assert [batch_rows(1000, n) for n in (1, 300, 1_000_000)] == [1, 10, 1000]
