"""`python -m tests.faults.writers <seconds> <threads> <name>`: writers of the real services, side by side.

Each thread creates jobs, claims and moves one, reports its log and metrics, ends it, and reads lists between. Prints
one JSON document: the milliseconds of each write by kind, what was read, and every error.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import django

PAUSE_S = 0.05
"""Between writes of one writer: a worker delivers four times a second."""


class Writer(threading.Thread):
    def __init__(self, name: str, until: float) -> None:
        super().__init__()
        self.name = name
        self.took_ms: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self.n_reads = 0
        self.n_ended = 0
        self._until = until
        self._dice = random.Random(name)

    def run(self) -> None:
        from django.db import connection

        number = 0
        try:
            while time.monotonic() < self._until:
                self._one_job(f"{self.name}-{number}")
                number += 1
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def _one_job(self, name: str) -> None:
        from django.contrib.auth.models import User

        from jobs.models import TrainingJob
        from jobs.runner.outcome import internal_failure
        from jobs.selectors.training import training_job_list
        from jobs.services import lifecycle
        from jobs.services.channels import ChannelRequest
        from jobs.services.metrics import MetricPoint
        from jobs.services.training import training_job_create
        from mlplatform.core.log_lines import LogLines
        from mlplatform.core.people.access import actor_for_user
        from mlplatform.core.status import SecondaryStatus

        actor = actor_for_user(user=User.objects.get(username="alice"), project_name="alpha")
        job = self._timed(
            "create",
            lambda: training_job_create(
                actor=actor,
                name=name,
                algorithm="knn",
                hyperparameters={"k": "1", "predictor_type": "classifier", "sample_size": "20"},
                channels={"train": ChannelRequest(dataset="flags")},
            ),
        )
        lease = self._timed("claim", lambda: lifecycle.training_job_claim(job_id=job.pk, owner=self.name))
        stream = TrainingJob.objects.select_related("log").get(pk=job.pk).log
        for status in (SecondaryStatus.DOWNLOADING, SecondaryStatus.TRAINING):
            self._timed(
                "move", lambda s=status: lifecycle.training_job_move(lease=lease, status=s, message=str(s))
            )
        for turn in range(self._dice.randint(3, 12)):
            now_ms = time.time_ns() // 1_000_000
            lines = [LogLines.of(f"{name} {turn} {n} {'x' * 80}", now_ms) for n in range(20)]
            points = [MetricPoint("loss", now_ms, 1 / (turn + 1))]
            self._timed(
                "report",
                lambda lines=lines, points=points: lifecycle.training_job_report(
                    lease=lease, stream=stream, lines=lines, points=points
                ),
            )
            training_job_list(actor=actor, limit=20)
            self.n_reads += 1
        outcome = internal_failure("the writer is through")
        self._timed("finish", lambda: lifecycle.training_job_finish(lease=lease, outcome=outcome))
        self.n_ended += 1

    def _timed(self, kind: str, write: Callable[[], Any]) -> Any:
        begun = time.monotonic()
        made = write()
        self.took_ms[kind].append((time.monotonic() - begun) * 1000)
        time.sleep(PAUSE_S * self._dice.random() * 2)
        return made


def main(seconds: str, n_threads: str, name: str) -> None:
    django.setup()
    until = time.monotonic() + float(seconds)
    writers = [Writer(f"{name}-{n}", until) for n in range(int(n_threads))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    said = {
        "took_ms": {
            kind: [took for writer in writers for took in writer.took_ms[kind]]
            for kind in ("create", "claim", "move", "report", "finish")
        },
        "errors": [error for writer in writers for error in writer.errors],
        "n_writes": [sum(map(len, writer.took_ms.values())) for writer in writers],
        "n_reads": sum(writer.n_reads for writer in writers),
        "n_ended": sum(writer.n_ended for writer in writers),
    }
    print("writers: " + json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
