"""A project in which experiments run: Iris in two datasets, a worker and a host that are alive, and their work played.

Played is what other processes would write: that a job has trained, an endpoint answers, an evaluation has measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from endpoints.models import Endpoint, Evaluation, Experiment, ExperimentCell
from endpoints.services.experiment_steps import experiment_step, experiments_step
from endpoints.services.experiments import experiment_create
from jobs.models import TrainingJob
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.names import uri
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus, EvaluationStatus, TrainingJobStatus
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import FEATURES, LABELS, IrisParts, TrainedModel
from tests.jobs.training.cast import dataset_make

FLAT = {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}}
IVF = {"name": "IVF", "hyperparameters": {"index_type": "faiss.IVFFlat"}}
SUMMARY = {
    "kind": "classification",
    "metric": "accuracy",
    "has_k": True,
    "n_rows": 38,
    "k": 1,
    "value": 0.97,
    "k_best": 1,
    "best": 0.97,
    "batch_size": 4,
    "batch_mean_ms": 2.0,
    "single_mean_ms": 0.5,
    "single_p50_ms": 0.4,
    "single_p90_ms": 0.6,
    "single_p99_ms": 0.9,
    "rows_per_s": 2000.0,
}
RESULT = {
    "kind": "classification",
    "quality": {"k": [1], "accuracy": [0.97], "intervals": {}},
    "latency": {
        name: value for name, value in SUMMARY.items() if name.endswith("_ms") or name == "batch_size"
    },
}
Judge = Callable[[ExperimentCell], bool]


def always(cell: ExperimentCell) -> bool:
    return True


def never(cell: ExperimentCell) -> bool:
    return False


@dataclass
class Stage:
    """Whether jobs train well, endpoints start well and evaluations measure well is asked cell by cell, and whether a
    cell's job or evaluation goes on for ever.
    """

    alice: Actor
    trained: TrainedModel
    trains: Judge = always
    serves: Judge = always
    measures: Judge = always
    lasts: Judge = never
    n_active_most: int = 0

    @classmethod
    def of(cls, alice: Actor, iris: IrisParts, trained: TrainedModel) -> Stage:
        texts = {float(code): text for text, code in LABELS.items()}
        for name, rows in (("train", iris.train), ("test", iris.test)):
            dataset_make(
                alice,
                name,
                rows=[(*row[:4], texts[row[4]]) for row in rows],
                columns=(*FEATURES, "species"),
                types=("fractional",) * 4 + ("text",),
                label=4,
            )
        stage = cls(alice, trained)
        stage.beat()
        return stage

    def beat(self, *, worker: tuple[str, ...] = ("cpu",), host: tuple[str, ...] = ("cpu",)) -> None:
        """A worker and a host of these queues are alive."""
        now = clock.now()
        node_beat(kind=NodeKind.WORKER, name="w", started_at=now, queues=list(worker), concurrency=2)
        node_beat(kind=NodeKind.HOST, name="h", started_at=now, queues=list(host))

    def create(self, **changes: Any) -> Experiment:
        request: dict[str, Any] = {
            "name": "study",
            "train": "train",
            "test": "test",
            "hyperparameters": {"predictor_type": "classifier", "k": 1},
            "configurations": [FLAT, IVF],
            "sample_sizes": [100],
            "instance_types": ["local.cpu", "ml.c5.xlarge"],
        }
        return experiment_create(**({"actor": self.alice} | request | changes))

    def turn(self) -> int:
        """The scheduler, then everybody's next step; how much the scheduler did."""
        n_done = experiments_step()
        for cell in cells_of():
            self._play(cell)
        active = [cell for cell in cells_of() if cell.status in {"Training", "Deploying", "Evaluating"}]
        self.n_active_most = max(self.n_active_most, len(active))
        return n_done

    def run(self, experiment: Experiment, *, turns: int = 60) -> Experiment:
        """Until it has ended."""
        for _ in range(turns):
            self.turn()
            experiment.refresh_from_db()
            if experiment.ended and not experiment_step(experiment_id=experiment.pk):
                return experiment
        raise AssertionError(f"it never ends: {[(str(c), c.status, c.waiting) for c in cells_of()]}")

    def until(self, holds: Callable[[], object], *, turns: int = 60) -> None:
        for _ in range(turns):
            if holds():
                return
            self.turn()
        raise AssertionError("it never does")

    def _play(self, cell: ExperimentCell) -> None:
        now = clock.now()
        job, endpoint, evaluation = cell.training_job, cell.endpoint, cell.evaluation
        if job and job.status == TrainingJobStatus.STOPPING:
            TrainingJob.objects.filter(pk=job.pk).update(
                status="Stopped", secondary_status="Stopped", ended_at=now
            )
        elif job and job.status == TrainingJobStatus.IN_PROGRESS and not self.lasts(cell):
            self._train(job, well=self.trains(cell))
        if endpoint and endpoint.status == EndpointStatus.CREATING:
            if self.serves(cell):
                Endpoint.objects.filter(pk=endpoint.pk).update(status="InService", live=endpoint.wanted_id)
            else:
                failure = {"reason": "ModelError: no index in it", "said": None, "detail": "", "log_tail": []}
                Endpoint.objects.filter(pk=endpoint.pk).update(status="Failed", failure=failure)
        same = Evaluation.objects.filter(pk=evaluation.pk if evaluation else None)
        if evaluation and evaluation.status == EvaluationStatus.STOPPING:
            same.update(status="Stopped", ended_at=now)
        elif evaluation and evaluation.status == EvaluationStatus.IN_PROGRESS and not self.lasts(cell):
            if self.measures(cell):
                same.update(status="Completed", summary=SUMMARY, result=RESULT, ended_at=now)
            else:
                same.update(status="Failed", failure="the endpoint answered 500", ended_at=now)

    def _train(self, job: TrainingJob, *, well: bool) -> None:
        same = TrainingJob.objects.filter(pk=job.pk, status="InProgress")  # it may be of several cells
        if not well:
            failure = {"kind": "DataError", "reason": "row 3: 'x' is not a number", "log_tail": []}
            same.update(status="Failed", secondary_status="Failed", failure=failure, ended_at=clock.now())
            return
        address = uri(self.alice.project.bucket, f"training-jobs/{job.uid}/output/model.tar.gz")
        if not same.exists():
            return
        stored = object_store().put_file(self.trained.archive, address)
        same.update(
            status="Completed",
            secondary_status="Completed",
            artifact_uri=stored.uri,
            artifact_sha256=stored.sha256,
            artifact_bytes=stored.size_bytes,
            manifest=self.trained.manifest,
            ended_at=clock.now(),
        )


def cells_of(experiment: Experiment | None = None) -> list[ExperimentCell]:
    cells = ExperimentCell.objects.select_related("training_job", "endpoint", "evaluation", "model")
    return list(cells if experiment is None else cells.filter(experiment=experiment))


def statuses(experiment: Experiment | None = None) -> list[str]:
    return [cell.status for cell in cells_of(experiment)]
