"""Evaluations of a running platform: the numbers are scikit-learn's, and all that can be done with one by REST."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.neighbors import KNeighborsClassifier

from tests.journeys.street import Street, refused, unique
from tests.polling import wait_until

K = 12
N_TRAIN = 300
STOPPED_WITHIN_S = 15.0
Split = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture(scope="module")
def blobs() -> Split:
    """Four classes that overlap, so that the score depends on k, without rows of equal distance."""
    X, y = make_classification(
        n_samples=420,
        n_features=5,
        n_informative=4,
        n_redundant=0,
        n_classes=4,
        n_clusters_per_class=1,
        class_sep=0.7,
        flip_y=0.1,
        random_state=7,
    )
    narrow = np.round(X, 4).astype(np.float32)
    return narrow[:N_TRAIN], y[:N_TRAIN] + 1, narrow[N_TRAIN:], y[N_TRAIN:] + 1


def table(X: NDArray[np.float32], y: NDArray[np.int64]) -> bytes:
    names = ",".join(f"x{place}" for place in range(X.shape[1]))
    lines = [
        ",".join([*(f"{value:.4f}" for value in row), str(label)]) for row, label in zip(X, y, strict=True)
    ]
    return "\n".join([f"{names},kind", *lines]).encode()


@pytest.fixture(scope="module")
def blobs_endpoint(street: Street, blobs: Split) -> str:
    """The endpoint `blobs` with K neighbours, and the datasets `blobs-train` and `blobs-test`."""
    X_train, y_train, X_test, y_test = blobs
    street.dataset("blobs-train", table(X_train, y_train), label="kind")
    street.dataset("blobs-test", table(X_test, y_test), label="kind")
    street.served("blobs", train="blobs-train", hyperparameters={"k": K})
    return "blobs"


def predictions(blobs: Split, k: int) -> NDArray[np.int64]:
    """Unweighted votes, ties to the smallest label."""
    X_train, y_train, X_test, _y_test = blobs
    model = KNeighborsClassifier(n_neighbors=k, algorithm="brute").fit(X_train, y_train)
    found: NDArray[np.int64] = model.predict(X_test)
    return found


def test_every_score_for_every_k_is_that_of_scikit_learn(
    street: Street, blobs: Split, blobs_endpoint: str
) -> None:
    name = unique("scores")
    found = street.evaluated(name, endpoint="blobs", dataset="blobs-test", batches=7, single_requests=50)
    quality, y = found["quality"], blobs[3]
    assert quality["k"] == list(range(1, K + 1))
    by_k = {k: predictions(blobs, k) for k in quality["k"]}
    assert quality["accuracy"] == pytest.approx([accuracy_score(y, by_k[k]) for k in by_k])
    for average in ("weighted", "macro", "micro"):
        expected = [f1_score(y, by_k[k], average=average) for k in by_k]
        assert quality[f"f1_{average}"] == pytest.approx(expected), average
    for k in by_k:
        assert found["confusions"][str(k)] == confusion_matrix(y, by_k[k]).tolist()
        low, high = quality["intervals"]["accuracy"][k - 1]
        assert low < quality["accuracy"][k - 1] < high
    best = int(np.argmax(quality["accuracy"]))
    assert (found["summary"]["k_best"], found["summary"]["best"]) == (best + 1, quality["accuracy"][best])
    assert (found["summary"]["k"], found["summary"]["value"]) == (K, quality["accuracy"][-1])
    latency = found["latency"]
    assert (latency["n_batches"], latency["n_single"]) == (7, 50)
    assert 0 < latency["single_p50_ms"] <= latency["single_p90_ms"] <= latency["single_p99_ms"]
    assert found["facts"] | {"k": K, "n_features": 5, "predictor_type": "classifier"} == found["facts"]

    rows = street.get(f"evaluations/{name}/rows/?k=3&limit=1000").json
    assert [row["row"] for row in rows["items"]] == list(range(1, len(y) + 1))
    assert [int(row["prediction"]) for row in rows["items"]] == by_k[3].tolist()
    wrong = street.get(f"evaluations/{name}/rows/?k=3&wrong=1").json
    assert wrong["count"] == int((by_k[3] != y).sum())
    file = street.get(f"evaluations/{name}/tables/accuracy/?as=csv")
    records = list(csv.DictReader(io.StringIO(file.text)))
    assert [float(row["accuracy"]) for row in records] == quality["accuracy"]
    for kind in ("latency", "classes", "confusion"):
        assert street.get(f"evaluations/{name}/tables/{kind}/").json["rows"], kind


def test_a_k_that_is_smaller_than_the_model_s_and_latency_alone(
    street: Street, blobs: Split, blobs_endpoint: str
) -> None:
    found = street.evaluated(
        unique("small"), endpoint="blobs", dataset="blobs-test", k_max=3, batches=1, single_requests=0
    )
    assert found["quality"]["k"] == [1, 2, 3]
    own = accuracy_score(blobs[3], predictions(blobs, K))
    assert (found["summary"]["k"], found["summary"]["value"]) == (K, pytest.approx(own))
    assert found["latency"]["single_mean_ms"] is None and found["latency"]["batch_mean_ms"] > 0


def test_a_regressor_has_errors_by_k(street: Street, blobs: Split, blobs_endpoint: str) -> None:
    X_train, y_train, X_test, y_test = blobs
    street.served("blobs-mean", train="blobs-train", hyperparameters={"k": K, "predictor_type": "regressor"})
    found = street.evaluated(
        unique("mean"), endpoint="blobs-mean", dataset="blobs-test", batches=3, single_requests=5
    )
    model = KNeighborsClassifier(n_neighbors=K, algorithm="brute").fit(X_train, y_train)
    near = y_train[model.kneighbors(X_test, return_distance=False)]
    errors = [near[:, :k].mean(axis=1) - y_test for k in range(1, K + 1)]
    assert found["quality"]["rmse"] == pytest.approx([np.sqrt((e**2).mean()) for e in errors], rel=1e-5)
    assert found["quality"]["mae"] == pytest.approx([np.abs(e).mean() for e in errors], rel=1e-5)
    street.gone("blobs-mean")


def test_one_that_runs_is_stopped_and_deleted_and_leaves_nothing(
    street: Street, blobs_endpoint: str, nothing_left: None
) -> None:
    name = unique("stopped")
    made = street.post(
        "evaluations/",
        {"name": name, "endpoint": "blobs", "dataset": "blobs-test", "single_requests": 100_000},
    )
    assert made.status == 201, made.text

    def seen() -> dict[str, Any]:
        return dict(street.get(f"evaluations/{name}/").json)

    wait_until(lambda: seen()["progress"].get("stage") == "latency", timeout_s=60, what=lambda: str(seen()))
    assert 0 < seen()["progress"]["fraction"] < 1 and seen()["progress"]["eta_s"] is not None
    refused(street.delete(f"evaluations/{name}/"), status=409)
    assert street.post(f"evaluations/{name}/stop/").json["status"] == "Stopping"
    wait_until(lambda: seen()["status"] == "Stopped", timeout_s=STOPPED_WITHIN_S, what=lambda: str(seen()))
    assert (seen()["quality"], seen()["failure_reason"]) == (None, None)
    assert street.delete(f"evaluations/{name}/").status == 204


def test_what_cannot_be_measured_is_refused_with_the_reason(
    street: Street, blobs_endpoint: str, nothing_left: None
) -> None:
    def ask(**changed: Any) -> Any:
        return street.post("evaluations/", {"endpoint": "blobs", "dataset": "blobs-test"} | changed)

    refused(ask(endpoint="ghost"), field="endpoint")
    refused(ask(dataset="ghost"), field="dataset")
    refused(ask(dataset="iris-test"), field="dataset", words=("4 feature columns", "expects 5"))
    refused(ask(endpoint="iris-knn", dataset="blobs-test"), field="dataset", words=("5", "4"))
    refused(ask(k_max=200), field="k_max", words=("k_max: 200 exceeds the index's k 12",))
    refused(ask(batches=0, single_requests=-1), field="batches")
    refused(ask(variant="B"), field="variant", words=("AllTraffic",))


def test_labels_that_the_model_never_saw_are_refused(
    street: Street, blobs: Split, blobs_endpoint: str
) -> None:
    X_test, y_test = blobs[2][:20], blobs[3][:20]
    street.dataset("blobs-more", table(X_test, y_test + 3), label="kind")
    answer = street.post("evaluations/", {"endpoint": "blobs", "dataset": "blobs-more"})
    refused(answer, field="dataset", words=("never saw", "from 1 to 4"))
    text = table(X_test, y_test).replace(b",1\n", b",one\n").replace(b",2\n", b",two\n")
    street.dataset("blobs-text", text, label="kind")
    answer = street.post("evaluations/", {"endpoint": "blobs", "dataset": "blobs-text"})
    refused(answer, field="dataset", words=("those of the model are numbers",))


def test_an_endpoint_that_is_not_in_service_is_a_conflict_and_one_that_is_gone_leaves_its_evaluations(
    street: Street, blobs_endpoint: str
) -> None:
    name = unique("kept")
    street.endpoint_in_service("short-lived", {"model": "blobs"})
    street.evaluated(
        name, endpoint="short-lived", dataset="blobs-test", batches=2, single_requests=2, k_max=1
    )
    assert street.delete("endpoints/short-lived/").status == 204
    wait_until(lambda: street.get("endpoints/short-lived/").status == 404, timeout_s=60)
    found = street.get(f"evaluations/{name}/").json
    assert (found["endpoint"], found["endpoint_exists"], found["status"]) == (
        "short-lived",
        False,
        "Completed",
    )
    street.endpoint_start("starting", {"model": "blobs"})
    answer = street.post("evaluations/", {"endpoint": "starting", "dataset": "blobs-test"})
    assert answer.status in {201, 409}, "it may be InService by now"
    if answer.status == 409:
        refused(answer, status=409, words=("wait until it is InService",))
    else:
        street.evaluation_ended(answer.json["name"])
    street.endpoint_settled("starting")
    street.gone("starting")


def test_somebody_else_finds_nothing(street: Street, charlie: Street, blobs_endpoint: str) -> None:
    assert charlie.get("evaluations/").json["items"] == []
    refused(charlie.post("evaluations/", {"endpoint": "blobs", "dataset": "blobs-test"}), field="endpoint")
