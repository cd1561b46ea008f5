"""The job process: `python -m jobs.runner <root>/job.json`. Exec'ed by a worker, one per attempt of a job.

Exit codes: 0 the model is in `model/`; 1 failed, `output/failure` says why; 143 stopped by SIGTERM, nothing
partial remains. Knows nothing of Django, the database or the object store.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from jobs.runner.process import (
    STOPPED,
    StopRequested,
    StopSignal,
    parent_follow,
    sacrifice_first,
    threads_limit,
)
from jobs.runner.spec import JobSpec
from mlplatform.core.process_memory import large_arrays_return


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m jobs.runner <root>/job.json", file=sys.stderr)
        return 2
    stop = StopSignal()
    stop.install()
    job = JobSpec.read(Path(arguments[0]))
    if not parent_follow(job.parent_pid):
        print("The worker of this job is gone; nothing was done.", file=sys.stderr)
        return 1
    sacrifice_first()
    threads_limit(job.n_threads)
    large_arrays_return()
    return run(job, stop)


def run(job: JobSpec, stop: StopSignal) -> int:
    """Trains and returns the exit code. `model/` gets a finished model in one step, or nothing."""
    try:
        _train(job, stop)
        with stop.committing():
            job.partial_model_dir.rename(job.model_dir)  # replaces the empty folder
    except StopRequested:
        return _stopped(job)
    except Exception as error:
        # A library interrupted by SIGTERM may turn it into an error of its own.
        return _stopped(job) if stop.requested else _failed(job, error)
    return 0


def _train(job: JobSpec, stop: StopSignal) -> None:
    from jobs.algorithms.lean_import import arrow_without_pandas
    from jobs.algorithms.registry import algorithm_get
    from jobs.runner.context import JobContext, TrainingLog

    log = TrainingLog()
    log.line(
        f"Training job {job.name}, attempt {job.attempt}: "
        f"algorithm {job.algorithm}, {job.n_threads} thread(s)"
    )
    algorithm = algorithm_get(job.algorithm)
    context = JobContext(job, algorithm, log, stop)
    engine = algorithm.engine_load()
    arrow_without_pandas()
    stop.check()
    engine.train(context)
    log.line("Training job finished")


def _stopped(job: JobSpec) -> int:
    from jobs.runner.context import TrainingLog

    shutil.rmtree(job.partial_model_dir, ignore_errors=True)
    TrainingLog().line("Stopped by SIGTERM; no model was written")
    return STOPPED


def _failed(job: JobSpec, error: Exception) -> int:
    from jobs.runner.failure import failure_from

    failure = failure_from(error)
    shutil.rmtree(job.partial_model_dir, ignore_errors=True)
    with contextlib.suppress(OSError):  # a disk without room for this either: the last line says it
        failure.write(job.output_dir)
    sys.stdout.flush()
    print(failure.traceback + failure.text, file=sys.stderr, flush=True)
    return 1


def _exit(code: int) -> NoReturn:
    """Ends at once: a library's thread blocked in a read would keep a normal exit waiting."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit(main(sys.argv[1:]))
