"""`python -m tests.faults.attempt <job id> <program ...>`: one attempt in a process of its own, which may be killed.

It runs what a thread of a worker runs, with another program in the place of `python -m jobs.runner`.
"""

from __future__ import annotations

import sys

import django


def main(job_id: str, *program: str) -> None:
    django.setup()
    from jobs.services.execution import training_job_run
    from jobs.services.worker_state import worker_state

    training_job_run(job_id=int(job_id), worker=worker_state(), program=program)


if __name__ == "__main__":
    main(*sys.argv[1:])
