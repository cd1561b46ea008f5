"""How long a chart of a million points takes in a database of ten million, on SQLite and on Postgres.

    python -m benchmarks.metric_points [--points 1000000] [--jobs 10] [--databases sqlite postgres]

One job's points are written as a worker writes them, a thousand at a time; those of the others are copies in the
database. Then its chart is asked for as the page asks for it, and its metrics by REST. Postgres is one of this run's
own, where the machine has its programs.
Bars: 5,000 points a trace, with the lowest and the highest of all among them, and 500 ms.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.installation import clients_of, installation_make, measurer_new
from benchmarks.options import options_parser
from benchmarks.verdict import verdict

if TYPE_CHECKING:
    from jobs.models import TrainingJob
    from mlplatform.core.people.access import Actor

POINTS_BAR: Final = 5000
ANSWER_BAR_MS: Final = 500.0
N_ASKED: Final = 7
N_AT_ONCE: Final = 1000
METRIC: Final = "validation:rmse"
LOWEST, HIGHEST = -1.0, 2.0
_AT_MS: Final = 1_790_000_000_000


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--points", type=int, default=1_000_000, help="of each job")
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument(
        "--databases", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"]
    )
    parser.add_argument("--here", action="store_true", help="in the database that the environment names")
    options = parser.parse_args()
    if options.here:
        _measure(options.databases[0], options.points, options.jobs)
        return
    for database in options.databases:
        _in_process(database, options)


def _in_process(database: str, options: argparse.Namespace) -> None:
    """Django has one database to a process."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlp-bench-"))
        environment = os.environ | {"MLPLATFORM_DATA_DIR": folder, "MLPLATFORM_LOG_LEVEL": "ERROR"}
        environment.pop("DATABASE_URL", None)
        if database == "postgres":
            from tests.postgres import postgres_running

            environment["DATABASE_URL"] = stack.enter_context(postgres_running()).database_new("points")
        again = [sys.executable, "-m", "benchmarks.metric_points", "--here", "--databases", database]
        sizes = ["--points", str(options.points), "--jobs", str(options.jobs)]
        subprocess.run([*again, *sizes], env=environment, check=True)


def _measure(database: str, n_points: int, n_jobs: int) -> None:
    actor, jobs = _prepare(n_jobs)
    from django.urls import reverse

    written_s = _write(jobs[0], n_points)
    _copy(jobs[0], jobs[1:])
    page, rest = clients_of(actor)
    print(
        f"{database}: {n_points * n_jobs:,} points; written in {written_s / n_points * 1e6:.1f} µs each",
        flush=True,
    )
    place = {"project": actor.project.name, "name": jobs[0].name}
    root = reverse("web:training-job-metrics", kwargs=place) + "?group=validation"
    api = f"/api/v1/projects/{actor.project.name}/training-jobs/{jobs[0].name}/metrics/"
    asked: list[tuple[str, Callable[[], Any], Callable[[Any], list[float]]]] = [
        ("chart of the page", lambda: page.get(root).json(), lambda answer: answer["data"][0]["y"]),
        ("metrics by REST", lambda: rest.get(api).json(), _values),
    ]
    for what, ask, values_of in asked:
        spent_ms = []
        cpu_begun = process_time()
        for _ in range(N_ASKED):
            begun = perf_counter()
            answer = ask()
            spent_ms.append((perf_counter() - begun) * 1000)
        print(
            f"{what}: {(process_time() - cpu_begun) * 1000 / N_ASKED:.0f} ms of a processor in this process"
        )
        values = values_of(answer)
        if not {LOWEST, HIGHEST} <= set(values):
            raise RuntimeError(f"{what}: the extremes are not among the {len(values)} points")
        verdict(f"{database}, {what}: points of a million", len(values), POINTS_BAR)
        verdict(f"{database}, {what}: answered", median(spent_ms), ANSWER_BAR_MS, unit="ms")


def _values(answer: Any) -> list[float]:
    return [value for _at_ms, _step, value in answer["items"][0]["points"]]


def _prepare(n_jobs: int) -> tuple[Actor, list[TrainingJob]]:
    installation_make(os.environ["MLPLATFORM_DATA_DIR"], database_url=os.environ.get("DATABASE_URL", ""))
    from jobs.services.channels import ChannelRequest
    from jobs.services.training import training_job_create

    actor, table = measurer_new(b"0,1,2\n1,2,3\n")
    jobs = [
        training_job_create(
            actor=actor,
            name=f"job-{n}",
            algorithm="xgboost",
            hyperparameters={"num_round": "1"},
            channels={"train": ChannelRequest(uri=table, content_type="text/csv")},
        )
        for n in range(n_jobs)
    ]
    return actor, jobs


def _write(job: TrainingJob, n_points: int) -> float:
    """Seconds."""
    from jobs.services.metrics import MetricPoint, metric_points_append

    dice = random.Random(0)
    begun = perf_counter()
    for begin in range(0, n_points, N_AT_ONCE):
        steps = range(begin, min(begin + N_AT_ONCE, n_points))
        points = [MetricPoint(METRIC, _AT_MS + 25 * step, dice.random()) for step in steps]
        if begin == 0:
            points[-5] = points[-5]._replace(value=LOWEST)
            points[-7] = points[-7]._replace(value=HIGHEST)
        metric_points_append(job_id=job.pk, points=points)
    return perf_counter() - begun


def _copy(job: TrainingJob, others: list[TrainingJob]) -> None:
    from django.db import connection

    from jobs.models import MetricChunk

    table = MetricChunk._meta.db_table
    for other in others:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} (job_id, name, first_step, points) "
                f"SELECT %s, name, first_step, points FROM {table} WHERE job_id = %s",
                [other.pk, job.pk],
            )


if __name__ == "__main__":
    main()
