"""Experiments for tests of pages: rows as the services leave them, with evaluations in the documented formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from endpoints.models import Evaluation, Experiment, ExperimentCell
from jobs.instance_types import instance_type_get
from jobs.models import DatasetVersion, TrainingJob
from mlplatform.core import clock
from mlplatform.core.logs import log_stream_create
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TERMINAL_CELL, CellStatus, ExperimentStatus
from mlplatform.core.text import text as _

FLAT = {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}}
IVFPQ = {
    "name": "IVFPQ",
    "hyperparameters": {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "8", "_faiss_index_nprobe": "5"},
}
SIZES = (200_000, 500_000)
TYPES = ("ml.c5.xlarge", "ml.p2.xlarge")
K = 100
Statuses = Callable[[int], CellStatus]
WAITS = _("waits: {reason}", reason="no host serves queue gpu")
FAILURE = _("the model needs {n} GiB", n=9.1)


@dataclass(frozen=True)
class Grid:
    """What is varied, and how far the cells are, by number from 1: the tutorial's eight, all done, if nothing is said.

    `values` are further columns of the experiment.
    """

    configurations: Sequence[dict[str, Any]] = (FLAT, IVFPQ)
    sizes: Sequence[int | None] = SIZES
    types: Sequence[str] = TYPES
    statuses: Statuses = lambda number: CellStatus.COMPLETED
    k: int | None = K
    values: dict[str, Any] = field(default_factory=dict)


def experiment_make(actor: Actor, name: str = "trade-off", grid: Grid | None = None) -> Experiment:
    """An experiment with all its cells; those that are completed have an evaluation, those that failed a reason."""
    grid = grid or Grid()
    now = clock.now()
    experiment = Experiment.objects.create(
        **{
            "project": actor.project,
            "name": name,
            "uid": uid_new(),
            "algorithm": "knn",
            "hyperparameters": {"k": str(grid.k or 1), "predictor_type": "classifier"},
            "configurations": list(grid.configurations),
            "sample_sizes": [size for size in grid.sizes if size],
            "instance_types": list(grid.types),
            "train_reference": "covtype-train@1",
            "test_reference": "covtype-test@1",
            "train_version": _version(actor, "covtype-train"),
            "test_version": _version(actor, "covtype-test"),
            "created_by": actor.user,
            "created_at": now - timedelta(minutes=40),
        }
        | grid.values
    )
    places = [
        (configuration, size, kind)
        for configuration in grid.configurations
        for size in grid.sizes
        for kind in grid.types
    ]
    for position, (configuration, size, kind) in enumerate(places, start=1):
        _cell(actor, experiment, grid, position, configuration, size, kind)
    if all(grid.statuses(position) in TERMINAL_CELL for position in range(1, len(places) + 1)):
        given = grid.values.get("status", ExperimentStatus.COMPLETED)
        Experiment.objects.filter(pk=experiment.pk).update(status=given, ended_at=now)
        experiment.refresh_from_db()
    return experiment


def evaluation_make(
    actor: Actor,
    name: str,
    *,
    index_type: str = "faiss.Flat",
    size: int | None = 200_000,
    instance_type: str = "ml.c5.xlarge",
    k: int | None = K,
) -> Evaluation:
    """A completed evaluation whose figures resemble those of Covertype."""
    now = clock.now()
    instance = instance_type_get(instance_type)
    quality = quality_of(index_type, size or 1, k)
    latency = latency_of(index_type, size or 1, gpu=instance.gpus > 0)
    accuracy = quality["accuracy"]
    best = accuracy.index(max(accuracy))
    summary = {
        "kind": "classification",
        "n_rows": 58_102,
        "has_k": k is not None,
        "k_best": best + 1 if k else None,
        "metric": "accuracy",
        "best": accuracy[best],
        "best_interval": quality["intervals"]["accuracy"][best],
        "k": k,
        "value": accuracy[-1],
        "value_interval": quality["intervals"]["accuracy"][-1],
        **{metric: quality[metric][-1] for metric in ("f1_weighted", "f1_macro", "f1_micro")},
        **{key: latency[key] for key in latency if isinstance(latency[key], float)},
        "batch_size": latency["batch_size"],
    }
    return Evaluation.objects.create(
        project=actor.project,
        name=name,
        uid=uid_new(),
        endpoint_name=name,
        model_name=name,
        training_job_name=name,
        instance_type=instance_type,
        dataset_reference="covtype-test@1",
        facts={
            "algorithm": "knn",
            "predictor_type": "classifier",
            "hyperparameters": {"index_type": index_type, "sample_size": str(size)},
            "k": k,
            "n_features": 54,
            "index_type": index_type,
            "sample_size": size,
            "engine": {"name": "tree", "reason": "", "measured_ms": {}},
            "price_per_hour": instance.price_per_hour,
            "vcpus": instance.vcpus,
        },
        k_max=k,
        status="Completed",
        summary=summary,
        result={
            "kind": "classification",
            "quality": quality,
            "labels": [str(n) for n in range(1, 8)],
            "confusions": {},
            "classes": {},
            "latency": latency,
            "warnings": [],
        },
        created_by=actor.user,
        created_at=now,
        started_at=now - timedelta(minutes=3),
        ended_at=now,
    )


def quality_of(index_type: str, size: int, k: int | None) -> dict[str, Any]:
    """Scores for every k up to `k`; without a k axis a single one."""
    lost = 0.006 if index_type != "faiss.Flat" else 0.0
    slope = 0.024 * math.sqrt(500_000 / max(size, 1000))
    top = 0.9702 - 0.009 * math.log(500_000 / max(size, 1000), 2.5) - lost
    first = {1: 0.0045, 2: 0.006}
    accuracy = [top - first.get(n, slope * math.log(max(n / 3, 1))) for n in range(1, (k or 1) + 1)]
    scores = {
        "accuracy": accuracy,
        "f1_weighted": [value - 0.0011 for value in accuracy],
        "f1_macro": [value - 0.045 for value in accuracy],
        "f1_micro": list(accuracy),
    }
    intervals = {
        name: [[value - 0.0015, value + 0.0015] for value in values] for name, values in scores.items()
    }
    return {"k": list(range(1, k + 1)) if k else None, **scores, "intervals": intervals, "confidence": 0.95}


def latency_of(index_type: str, size: int, *, gpu: bool = False) -> dict[str, Any]:
    """Milliseconds that grow with the index and shrink on a GPU."""
    single = (0.45 if index_type == "faiss.Flat" else 0.8) * (size / 200_000) ** 0.4 * (0.7 if gpu else 1.0)
    batch = 60.0 * single
    found: dict[str, Any] = {
        "batch_size": 581,
        "n_batches": 100,
        "n_single": 2000,
        "rows_per_s": 581_000 / batch,
    }
    for kind, mean in (("batch", batch), ("single", single)):
        found |= {f"{kind}_mean_ms": mean, f"{kind}_p50_ms": mean * 0.95, f"{kind}_p90_ms": mean * 1.2}
        found[f"{kind}_p99_ms"] = mean * 2.1
    return found | {"intervals": {}, "batch_ms": [], "single_histogram": {"edges_ms": [], "counts": []}}


def _cell(
    actor: Actor,
    experiment: Experiment,
    grid: Grid,
    position: int,
    configuration: dict[str, Any],
    size: int | None,
    instance_type: str,
) -> None:
    status = grid.statuses(position)
    evaluation = None
    if status == CellStatus.COMPLETED:
        evaluation = evaluation_make(
            actor,
            f"{experiment.name}-{position}",
            index_type=configuration["hyperparameters"].get("index_type", "faiss.Flat"),
            size=size,
            instance_type=instance_type,
            k=grid.k,
        )
    now = clock.now()
    key = f"{configuration['name']}-{size}"
    job = None if status in _UNBEGUN else _job(actor, f"{experiment.name[:40]}-{key}")
    if evaluation is not None and job is not None:
        evaluation.training_job_name = job.name
        evaluation.save(update_fields=["training_job_name"])
    ExperimentCell.objects.create(
        experiment=experiment,
        position=position,
        configuration=configuration["name"],
        sample_size=size,
        instance_type=instance_type,
        hyperparameters=experiment.hyperparameters
        | configuration["hyperparameters"]
        | {"sample_size": str(size)},
        training_key=key,
        status=status,
        waiting=WAITS if status == CellStatus.PENDING and "p2" in instance_type else "",
        failure=FAILURE if status == CellStatus.FAILED else "",
        training_job=job,
        evaluation=evaluation,
        started_at=None if status in _UNBEGUN else now - timedelta(minutes=5),
        ended_at=now if status in TERMINAL_CELL else None,
    )


_UNBEGUN = {CellStatus.PENDING, CellStatus.SKIPPED}


def _job(actor: Actor, name: str) -> TrainingJob:
    """The one job of the cells that differ in the instance type alone."""
    now = clock.now()
    given = {
        "uid": uid_new(),
        "algorithm": "knn",
        "instance_type": "local.cpu",
        "queue": "cpu",
        "status": "Completed",
        "secondary_status": "Completed",
        "log": log_stream_create,
        "created_by": actor.user,
        "created_at": now,
        "ended_at": now,
    }
    return TrainingJob.objects.get_or_create(project=actor.project, name=name[:63], defaults=given)[0]


def _version(actor: Actor, name: str) -> DatasetVersion | None:
    return DatasetVersion.objects.filter(dataset__project=actor.project, dataset__name=name).first()
