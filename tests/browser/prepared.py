"""Jobs and experiments in the state that a browser test needs, made in the running platform's data.

`manage.py shell` calls these.
"""

from __future__ import annotations

from django.contrib.auth.models import User

from jobs.models import JobEvent, TrainingJob
from jobs.services.metrics import MetricPoint, metric_points_append
from mlplatform.core import clock, names
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append, log_end, log_stream_create
from mlplatform.core.models import Project, Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TrialStatus
from tests.web.experiments import experiment_make
from tests.web.tuning import Trials, halfway, tuning_make

DONE = TrialStatus.COMPLETED
LONG_LOG_LINES = 200_000
ERROR_LINE = 123_456
FAILURE = {
    "kind": "DataError",
    "reason": "row 17, column 'petal': 'n/a' is not a number",
    "row": 17,
    "column": "petal",
    "value": "n/a",
    "exit_code": 1,
    "signal": None,
    "log_tail": ["Traceback (most recent call last):", "DataError: \x1b[31mrow 17\x1b[0m"],
    "first_line": 299,
}


def long_log() -> None:
    """`long-log`: a job that printed 200,000 lines."""
    job = _job("long-log", status="Completed")
    for begin in range(1, LONG_LOG_LINES + 1, 10_000):
        log_append(stream=job.log, lines=[_line(n) for n in range(begin, begin + 10_000)])
    log_end(stream=job.log)


def failed() -> None:
    """`failed`: a job that failed with bad data after 300 lines."""
    job = _job("failed", status="Failed", failure=FAILURE)
    log_append(stream=job.log, lines=[_line(n) for n in range(1, 301)])
    log_end(stream=job.log)


def running() -> None:
    """`running`: a job at work of which no worker has a lease, so that it does not end with one and is run again."""
    _job("running", status="InProgress", secondary_status="Training")
    running_prints(100)


def running_prints(n_lines: int) -> None:
    """It prints, and says how far it is."""
    job = TrainingJob.objects.get(name="running")
    first = job.log.n_lines + 1
    log_append(stream=job.log, lines=[_line(n) for n in range(first, first + n_lines)])
    now_ms = int(clock.now().timestamp() * 1000)
    metric_points_append(job_id=job.pk, points=[MetricPoint("train:loss", now_ms, 1 / first)])
    TrainingJob.objects.filter(pk=job.pk).update(progress={"fraction": 0.5})


def running_ends() -> None:
    job = TrainingJob.objects.get(name="running")
    log_end(stream=job.log)
    TrainingJob.objects.filter(pk=job.pk).update(
        status="Completed",
        secondary_status="Completed",
        ended_at=clock.now(),
    )


def finished_experiment() -> None:
    """`finished`: the tutorial's eight cells, measured."""
    project, user = Project.objects.get(name="default"), User.objects.get(username="admin")
    experiment_make(Actor(user=user, project=project, role=Role.ADMIN), "finished")


def tuning_jobs() -> None:
    """`tuned`, whose trials have ended, one of each kind; `no-metric`, of which none printed the metric."""
    project, user = Project.objects.get(name="default"), User.objects.get(username="admin")
    actor = Actor(user=user, project=project, role=Role.ADMIN)
    tuning_make(
        actor, "tuned", Trials(n=24, statuses=lambda number: halfway(number) if number < 11 else DONE)
    )
    none = Trials(n=3, statuses=lambda number: TrialStatus.NO_METRIC, values={"status": "Failed"})
    tuning_make(actor, "no-metric", none)


def _job(name: str, **values: object) -> TrainingJob:
    now = clock.now()
    given = {
        "secondary_status": values["status"],
        "ended_at": None if values["status"] == "InProgress" else now,
    }
    job = TrainingJob.objects.create(
        project=Project.objects.get(name="default"),
        name=name,
        uid=names.uid_new(),
        algorithm="knn",
        hyperparameters={"k": "1"},
        instance_type="local.cpu",
        queue="cpu",
        attempt=1,
        log=log_stream_create(),
        created_by=User.objects.get(username="admin"),
        created_at=now,
        started_at=now,
        **(given | values),
    )
    JobEvent.objects.create(job=job, attempt=1, secondary_status=job.secondary_status, message="", at=now)
    return job


def _line(n: int) -> LogLines:
    texts = {ERROR_LINE: "\x1b[1;31mValueError\x1b[0m: bad row", 5: "10%\r50%\r100% done"}
    return LogLines.of(texts.get(n, f"line {n} loss={1 / n:.6f}"), 1_790_000_000_000 + 25 * n)
