"""Job programs for tests: small scripts in the place of `python -m jobs.runner`, run by the real worker side."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path

from django.db import connection

from jobs.models import TrainingJob
from jobs.services.execution import training_job_run
from jobs.services.worker_state import WorkerState

MODEL = "open('model/weights', 'w').write('w')"
FOREVER = """
import signal, sys, time
print("ready", flush=True)
while True: time.sleep(0.05)
"""


def program(folder: Path, script: str) -> Sequence[str]:
    """The command that runs `script` in the place of the job process."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(script), encoding="utf-8")
    return (sys.executable, str(path))


def run(job: TrainingJob, worker: WorkerState, folder: Path, script: str) -> TrainingJob:
    """One attempt with `script`; the job as it is afterwards."""
    assert training_job_run(job_id=job.pk, worker=worker, program=program(folder, script))
    job.refresh_from_db()
    return job


class Running(threading.Thread):
    """An attempt in the background; `end` waits for it and raises what went wrong in it."""

    def __init__(self, job: TrainingJob, worker: WorkerState, command: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._job, self._worker, self._command = job, worker, command
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            training_job_run(job_id=self._job.pk, worker=self._worker, program=self._command)
        except BaseException as error:
            self._error = error
        finally:
            connection.close()

    def end(self) -> TrainingJob:
        self.join(60)
        assert not self.is_alive(), "the attempt did not end"
        if self._error is not None:
            raise self._error
        self._job.refresh_from_db()
        return self._job
