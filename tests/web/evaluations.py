"""Evaluations as the platform leaves them, without measuring anything: rows with results in the documented form.

What a result says agrees with the predictions beside it in the store, so that tables, matrices and lists of rows fit.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endpoints.models import Endpoint, Evaluation
from jobs.models import DatasetVersion
from mlplatform.core import clock
from mlplatform.core.names import uid_new, uri
from mlplatform.core.status import EvaluationStatus
from mlplatform.core.storage.objects import object_store
from tests.web.conftest import Visitor

Codes = NDArray[np.int64]
MATRIX_CELLS = 50_000


@dataclass(frozen=True)
class Made:
    """What is simulated. A regression has no labels; `k_max` None is a model without a k axis."""

    labels: list[str] = field(default_factory=lambda: ["setosa", "versicolor", "virginica"])
    kind: str = "classification"
    k_max: int | None = 20
    k: int | None = 10
    n_rows: int = 60
    seed: int = 0


def result_made(made: Made) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Summary, result and the content of predictions.bin."""
    latency = _latency(made)
    if made.kind == "unlabelled":
        summary = _summary(made, latency) | {"kind": "unlabelled"}
        return summary, {"kind": "unlabelled", "quality": None, "latency": latency, "warnings": []}, b""
    return (_regression if made.kind == "regression" else _classification)(made, latency)


def evaluation_made(
    who: Visitor,
    name: str,
    made: Made | None = None,
    *,
    status: EvaluationStatus = EvaluationStatus.COMPLETED,
    endpoint: Endpoint | None = None,
    dataset_version: DatasetVersion | None = None,
    **values: Any,
) -> Evaluation:
    """An evaluation of the project of `who`; `values` are further columns of its row."""
    made = made or Made()
    now = clock.now()
    uid = uid_new()
    given: dict[str, Any] = {
        "endpoint": endpoint,
        "endpoint_name": endpoint.name if endpoint else "covtype-flat-200k",
        "variant": "AllTraffic",
        "model_name": "covtype-flat-200k",
        "training_job_name": "covtype-flat-200k",
        "instance_type": "ml.c5.xlarge",
        "dataset_version": dataset_version,
        "dataset_reference": str(dataset_version) if dataset_version else "covtype-test@1",
        "facts": facts_made(made),
        "k_max": made.k_max,
        "created_at": now - timedelta(minutes=5),
        "started_at": now - timedelta(minutes=4),
        "attempt": 1,
    }
    if status == EvaluationStatus.COMPLETED:
        summary, result, content = result_made(made)
        address = uri(who.project.bucket, f"evaluations/{uid}/1/predictions.bin")
        if content:
            object_store().put_bytes(content, address)
        given |= {"summary": summary, "result": result, "result_uri": address if content else ""}
    if status in {EvaluationStatus.COMPLETED, EvaluationStatus.FAILED, EvaluationStatus.STOPPED}:
        given |= {"ended_at": now}
    else:
        given |= {
            "progress": {
                "stage": "quality",
                "done": 31,
                "total": 100,
                "fraction": 0.28,
                "eta_s": 41.0,
                "n_rows": made.n_rows,
            },
            "lease_owner": "a test",
            "lease_expires_at": now + timedelta(hours=1),
        }
    return Evaluation.objects.create(
        project=who.project, name=name, uid=uid, status=status, created_by=who.user, **(given | values)
    )


def facts_made(made: Made) -> dict[str, Any]:
    return {
        "algorithm": "knn",
        "predictor_type": "regressor" if made.kind == "regression" else "classifier",
        "hyperparameters": {"k": str(made.k), "index_type": "faiss.Flat", "sample_size": "200000"},
        "k": made.k,
        "n_features": 54,
        "index_type": "faiss.Flat",
        "sample_size": 200_000,
        "engine": {
            "name": "tree",
            "reason": "a k-d tree answered 300 points of the sample in 12 ms, Flat in 58 ms",
            "measured_ms": {"flat": 58.0, "tree": 12.0},
        },
        "price_per_hour": 0.204,
        "vcpus": 4,
    }


def _classification(made: Made, latency: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    random = np.random.default_rng(made.seed)
    n_labels, ks = len(made.labels), list(range(1, (made.k_max or 1) + 1))
    truth = np.arange(made.n_rows) % n_labels
    luck, other = random.random(made.n_rows), random.integers(0, max(n_labels - 1, 1), made.n_rows)
    wrong = (truth + 1 + other) % n_labels
    # Best at k = 3, then worse and worse, as on Covertype.
    shares = [0.03 + 0.02 * abs(k - 3) ** 0.5 if n_labels > 1 else 0.0 for k in ks]
    predictions = np.stack([np.where(luck < share, wrong, truth) for share in shares])
    quality, matrices = _scores(truth, predictions, n_labels)
    best = int(np.argmax(quality["accuracy"]))
    own = min(made.k or 1, len(ks)) - 1
    shown = [0] if made.k_max is None else sorted({0, best, own})
    kept = list(range(len(ks))) if n_labels**2 * len(ks) <= MATRIX_CELLS else shown
    kept = kept if n_labels <= 100 else []
    key = (lambda place: "") if made.k_max is None else (lambda place: str(ks[place]))
    result = {
        "kind": "classification",
        "quality": {"k": ks if made.k_max else None, **quality, "confidence": 0.95},
        "labels": made.labels,
        "confusions": {key(place): matrices[place].tolist() for place in kept},
        "classes": {key(place): _classes(made.labels, matrices[place]) for place in shown},
        "latency": latency,
        "warnings": [],
    }
    values = {name: quality[name][own] for name in ("f1_weighted", "f1_macro", "f1_micro")}
    summary = _summary(made, latency) | values | _best(made, quality, "accuracy", ks, best, own)
    return summary, result, _file(made, truth, predictions)


def _scores(truth: Codes, predictions: Codes, n_labels: int) -> tuple[dict[str, Any], list[Codes]]:
    matrices = []
    scores: dict[str, list[float]] = {
        name: [] for name in ("accuracy", "f1_weighted", "f1_macro", "f1_micro")
    }
    for row in predictions:
        matrix = np.zeros((n_labels, n_labels), np.int64)
        np.add.at(matrix, (truth, row), 1)
        matrices.append(matrix)
        support = matrix.sum(axis=1)
        sums = support + matrix.sum(axis=0)
        f1 = np.divide(2 * matrix.diagonal(), sums, out=np.zeros(n_labels), where=sums > 0)
        accuracy = matrix.trace() / len(truth)
        found = (accuracy, float(f1 @ support / len(truth)), float(f1.mean()), accuracy)
        for name, value in zip(scores, found, strict=True):
            scores[name].append(float(value))
    intervals = {name: [_interval(value, len(truth)) for value in values] for name, values in scores.items()}
    return {**scores, "intervals": intervals}, matrices


def _interval(value: float, n_rows: int) -> list[float]:
    half = 1.96 * (max(value * (1 - value), 1e-4) / n_rows) ** 0.5
    return [max(0.0, value - half), min(1.0, value + half)]


def _classes(labels: list[str], matrix: Codes) -> list[dict[str, Any]]:
    found = []
    for place, label in enumerate(labels):
        hits, support, said = (
            int(matrix[place, place]),
            int(matrix[place].sum()),
            int(matrix[:, place].sum()),
        )
        values = {
            "precision": hits / said if said else 0.0,
            "recall": hits / support if support else 0.0,
            "f1": 2 * hits / (support + said) if support + said else 0.0,
        }
        intervals = {name: _interval(value, max(support, 1)) for name, value in values.items()}
        found.append({"label": label, "support": support, **values, "intervals": intervals})
    return found


def _regression(made: Made, latency: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    random = np.random.default_rng(made.seed)
    ks = list(range(1, (made.k_max or 1) + 1))
    truth = random.normal(10, 3, made.n_rows).astype(np.float32)
    noise = random.normal(0, 1, made.n_rows)
    predictions = np.stack([truth + noise * (2 + abs(k - 5) ** 0.5 / 4) for k in ks]).astype(np.float32)
    error = predictions - truth
    rmse, mae = np.sqrt((error**2).mean(axis=1)).tolist(), np.abs(error).mean(axis=1).tolist()
    intervals = {
        name: [[0.93 * value, 1.07 * value] for value in values]
        for name, values in {"rmse": rmse, "mae": mae}.items()
    }
    quality = {"rmse": rmse, "mae": mae, "intervals": intervals}
    best, own = int(np.argmin(rmse)), min(made.k or 1, len(ks)) - 1
    result = {
        "kind": "regression",
        "quality": {"k": ks if made.k_max else None, **quality, "confidence": 0.95},
        "latency": latency,
        "warnings": [],
    }
    summary = _summary(made, latency) | _best(made, quality, "rmse", ks, best, own)
    return summary, result, _file(made, truth, predictions)


def _best(
    made: Made, quality: dict[str, Any], metric: str, ks: list[int], best: int, own: int
) -> dict[str, Any]:
    values, intervals = quality[metric], quality["intervals"][metric]
    return {
        "kind": made.kind,
        "has_k": made.k_max is not None,
        "k_best": ks[best] if made.k_max else None,
        "metric": metric,
        "best": values[best],
        "best_interval": intervals[best],
        "k": made.k if made.k_max else None,
        "value": values[own],
        "value_interval": intervals[own],
    }


def _summary(made: Made, latency: dict[str, Any]) -> dict[str, Any]:
    names = (
        "batch_size",
        "batch_mean_ms",
        "single_mean_ms",
        "single_p50_ms",
        "single_p90_ms",
        "single_p99_ms",
    )
    return {
        "n_rows": made.n_rows,
        "has_k": False,
        "rows_per_s": latency["rows_per_s"],
        **{name: latency[name] for name in names},
    }


def _latency(made: Made) -> dict[str, Any]:
    random = np.random.default_rng(made.seed + 1)
    batches = random.normal(61.2, 2.4, 100)
    singles = 0.6 + random.gamma(2.0, 0.08, 2000)
    counts, edges = np.histogram(singles, bins=40)
    values = {
        "batch_mean_ms": batches.mean(),
        "batch_p50_ms": np.percentile(batches, 50),
        "batch_p90_ms": np.percentile(batches, 90),
        "batch_p99_ms": np.percentile(batches, 99),
        "single_mean_ms": singles.mean(),
        "single_p50_ms": np.percentile(singles, 50),
        "single_p90_ms": np.percentile(singles, 90),
        "single_p99_ms": np.percentile(singles, 99),
    }
    known = {name: float(value) for name, value in values.items()}
    return {
        "batch_size": max(made.n_rows // 100, 1),
        "n_batches": 100,
        "n_single": 2000,
        **known,
        "intervals": {name: [0.98 * value, 1.02 * value] for name, value in known.items()},
        "rows_per_s": 9500.0,
        "batch_ms": batches.round(3).tolist(),
        "single_histogram": {"edges_ms": edges.round(4).tolist(), "counts": counts.tolist()},
    }


def _file(made: Made, truth: NDArray[Any], predictions: NDArray[Any]) -> bytes:
    kind = "f4" if made.kind == "regression" else "u1" if len(made.labels) <= 256 else "u2"
    header = {
        "n_rows": len(truth),
        "n_k": len(predictions),
        "k": list(range(1, len(predictions) + 1)) if made.k_max else None,
        "labels": None if made.kind == "regression" else made.labels,
        "dtype": kind,
        "first_row": 1,
    }
    text = json.dumps(header).encode()
    arrays = b"".join(np.ascontiguousarray(one, f"<{kind}").tobytes() for one in (truth, predictions))
    return b"MLPEVAL1" + struct.pack("<I", len(text)) + text + arrays
