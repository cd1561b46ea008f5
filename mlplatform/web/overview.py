"""What the home page of a project says: gathered from selectors, nothing computed on its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from endpoints.models import Endpoint
from endpoints.selectors.endpoints import endpoint_counts, endpoint_list
from endpoints.selectors.models import model_list
from endpoints.selectors.traffic import endpoint_traffic
from jobs.models import TrainingJob
from jobs.selectors.datasets import dataset_list
from jobs.selectors.queues import QueueState, queue_states
from jobs.selectors.storage import StorageUse, storage_use
from jobs.selectors.training import training_job_counts, training_job_list
from jobs.selectors.tuning import tuning_counts
from mlplatform.core.keeping.disk_room import disk_room_for_jobs
from mlplatform.core.keeping.disk_size import DiskSize, disk_size
from mlplatform.core.people.access import Actor, access_key_list
from mlplatform.core.status import ACTIVE_TUNING, EndpointStatus, TrainingJobStatus
from mlplatform.core.translation import translated
from mlplatform.web.progress import remaining_s
from mlplatform.web.templatetags.figures import count

N_SHOWN = 5
TRAFFIC_MINUTES = 60


@dataclass(frozen=True)
class EndpointRow:
    endpoint: Endpoint
    requests: list[int]
    n_requests: int
    n_errors: int
    p50_ms: float | None

    @property
    def summary(self) -> str:
        """The sparkline in words."""
        return ngettext(
            "%(n)s request in the last hour", "%(n)s requests in the last hour", self.n_requests
        ) % {"n": count(self.n_requests)}


@dataclass(frozen=True)
class RunningRow:
    job: TrainingJob
    remaining_s: float | None


@dataclass(frozen=True)
class Step:
    """One line of the first-run checklist."""

    title: str
    url: str
    done: bool


@dataclass(frozen=True)
class Disk:
    size: DiskSize
    project: StorageUse
    low: str
    """What is below the disk floor; empty where nothing is."""


@dataclass(frozen=True)
class Overview:
    n_datasets: int
    n_models: int
    job_counts: dict[str, int]
    n_tuning: int
    endpoint_counts: dict[str, int]
    running: list[RunningRow]
    failed: list[TrainingJob]
    recent: list[TrainingJob]
    endpoints: list[EndpointRow]
    disk: Disk
    unserved: list[QueueState]
    steps: list[Step]

    @property
    def first_run(self) -> bool:
        return not all(step.done for step in self.steps)

    @property
    def n_steps_done(self) -> int:
        return sum(step.done for step in self.steps)


def overview_get(*, actor: Actor) -> Overview:
    """Everything on the home page of the actor's project."""
    datasets = dataset_list(actor=actor, limit=1)
    models = model_list(actor=actor, limit=1)
    jobs = training_job_counts(actor=actor)
    tuning = tuning_counts(actor=actor)
    endpoints = endpoint_counts(actor=actor)
    rows = [_endpoint_row(endpoint) for endpoint in endpoint_list(actor=actor, limit=N_SHOWN).items]
    return Overview(
        n_datasets=datasets.count,
        n_models=models.count,
        job_counts=jobs,
        n_tuning=sum(tuning[status] for status in ACTIVE_TUNING),
        endpoint_counts=endpoints,
        running=[
            RunningRow(job, remaining_s(job))
            for status in (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING)
            for job in _jobs(actor, status)
        ],
        failed=_jobs(actor, TrainingJobStatus.FAILED),
        recent=training_job_list(actor=actor, limit=N_SHOWN).items,
        endpoints=rows,
        disk=_disk(actor),
        unserved=[queue for queue in queue_states(actor=actor) if queue.n_waiting and not queue.served],
        steps=_steps(actor, datasets.count, jobs, endpoints, rows),
    )


def _jobs(actor: Actor, status: TrainingJobStatus) -> list[TrainingJob]:
    return training_job_list(actor=actor, status=status, limit=N_SHOWN).items


def _endpoint_row(endpoint: Endpoint) -> EndpointRow:
    traffic = endpoint_traffic(endpoint=endpoint, minutes=TRAFFIC_MINUTES)
    return EndpointRow(
        endpoint=endpoint,
        requests=[point.n_requests for point in traffic.points],
        n_requests=traffic.n_requests,
        n_errors=traffic.n_errors,
        p50_ms=traffic.p50_ms,
    )


def disk_low() -> str:
    """What is below the disk floor here, in the reader's language: no job begins, whoever serves the queues."""
    low = disk_room_for_jobs()
    return str(translated(low.words)) if low else ""


def _disk(actor: Actor) -> Disk:
    return Disk(disk_size(Path(settings.DATA_DIR)), storage_use(actor=actor), disk_low())


def _steps(
    actor: Actor, n_datasets: int, jobs: dict[str, int], endpoints: dict[str, int], rows: list[EndpointRow]
) -> list[Step]:
    def url(name: str) -> str:
        return reverse(f"web:{name}", kwargs={"project": actor.project.name})

    in_service = endpoints.get(EndpointStatus.IN_SERVICE, 0) > 0
    called = any(row.n_requests for row in rows)
    return [
        Step(_("Upload a dataset, or load a sample"), url("dataset-new"), n_datasets > 0),
        Step(_("Train a model on it"), url("training-job-new"), jobs.get(TrainingJobStatus.COMPLETED, 0) > 0),
        Step(_("Deploy it to an endpoint"), url("endpoint-new"), in_service),
        Step(_("Get a first prediction"), url("endpoint-list"), called),
        Step(
            _("Create an access key for your programs"),
            url("access-key-new"),
            bool(access_key_list(actor=actor)),
        ),
    ]
