"""`manage.py worker`: takes jobs from queues and runs each as a process of its own.

A Celery consumer with a pool of threads: a thread does no more than follow its job's process. Beside it a
thread writes the heartbeat, gives back what dead workers of this machine had, and clears away what they left.
A second way to find work, for when the broker has lost a message, is the scheduler's sweeping.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_shutting_down
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFault
from django.db import connection

from jobs.celery_parts import PatientConsumer, WakingPool
from jobs.instance_types import cpus_here, queues_read
from jobs.runner.isolation import SandboxUnavailable, isolation
from jobs.selectors.instances import NO_ROOM
from jobs.services.clearing import leftovers_clear
from jobs.services.lifecycle import training_job_end_listen
from jobs.services.sweeping import sweep_owners
from jobs.services.tuning_driver import TuningDriver
from jobs.services.warm_processes import warm_processes
from jobs.services.worker_looks import worker_looks_run
from jobs.services.worker_state import WorkerState, worker_state
from mlplatform.core import clock
from mlplatform.core.broker import app
from mlplatform.core.health.outages import is_outage
from mlplatform.core.keeping.disk_room import disk_room_for_jobs
from mlplatform.core.models import NodeKind
from mlplatform.core.node_start import ClockTold, NodeRefused, name_words, node_start
from mlplatform.core.nodes import HEARTBEAT_S, NodeTaken, node_beat, node_gone
from mlplatform.core.text import to_json

logger = logging.getLogger("worker")
CLEAR_EVERY_BEATS = 3


class Command(BaseCommand):
    help = "Runs training jobs and other tasks of the given queues."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", default="cpu", help="queues, separated by commas (default: cpu)")
        parser.add_argument(
            "--concurrency",
            type=int,
            default=max(2, cpus_here()),
            help="jobs at a time (default: processors, at least 2)",
        )
        parser.add_argument("--name", default="", help="default: host name and process id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            queues = queues_read(options["queues"])
        except ValueError as error:
            raise CommandError(str(error)) from None
        if options["concurrency"] < 1:
            raise CommandError(f"--concurrency {options['concurrency']} is not accepted; use 1 or more")
        try:
            logger.info(isolation().words)
        except SandboxUnavailable as error:
            raise CommandError(str(error)) from None
        state = worker_state()
        state.name = options["name"] or state.name
        try:
            node_start(kind=NodeKind.WORKER, name=state.name)
        except NodeRefused as error:
            raise CommandError(str(error)) from None
        setup_logging.connect(_keep_logging, weak=False)
        worker_shutting_down.connect(lambda **_: state.shut_down(), weak=False)
        worker_looks_run()
        beats = threading.Thread(
            target=_beat, args=(state, queues, options["concurrency"]), name="heartbeat", daemon=True
        )
        beats.start()
        driver = TuningDriver(state)
        training_job_end_listen(driver.wake)
        driver.start()
        try:
            exit_code = _consume(state, queues, options["concurrency"])
        finally:
            state.shut_down()
            warm_processes().close()
            beats.join(timeout=HEARTBEAT_S)
        raise SystemExit(exit_code)


def _consume(state: WorkerState, queues: list[str], concurrency: int) -> int:
    """Takes tasks until the process is asked to end; returns the exit code."""
    # Celery's Django fixup would check, and thereby import, every page and view.
    os.environ["CELERY_SKIP_CHECKS"] = "1"
    # It warns of root; messages carry ids only and are JSON.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app.conf.update(
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
    )
    worker = app.Worker(
        hostname=f"{state.name}@{os.uname().nodename}",
        pool=WakingPool,
        consumer_cls=PatientConsumer,
        concurrency=concurrency,
        queues=queues,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    logger.info("%s takes up to %d jobs at a time from %s", state.name, concurrency, ", ".join(queues))
    worker.start()
    return int(worker.exitcode or 0)


def _keep_logging(**_: Any) -> None:
    """Celery sets up logging only where nobody listens to its signal; ours stands already."""


def _beat(state: WorkerState, queues: list[str], concurrency: int) -> None:
    started_at = clock.now()
    n_beats = 0
    clock_told = ClockTold()
    try:
        while True:
            try:
                clock_told.is_off(
                    node_beat(
                        kind=NodeKind.WORKER,
                        name=state.name,
                        started_at=started_at,
                        queues=queues,
                        concurrency=concurrency,
                        info=_info(),
                    )
                )
            except NodeTaken as taken:
                logger.error("%s", name_words(taken.holder))
            except (DatabaseFault, OSError) as error:
                logger.warning("no heartbeat: %s", error)
                connection.close()
            except Exception:
                logger.exception("no heartbeat")
                connection.close()
            worker_looks_run()
            if n_beats % CLEAR_EVERY_BEATS == 0:
                _clear()
            n_beats += 1
            if state.wait(HEARTBEAT_S):
                break
        node_gone(kind=NodeKind.WORKER, name=state.name)
    except DatabaseFault as error:
        logger.warning("the heartbeat stays until it is out of date: %s", error)
    finally:
        connection.close()


def _info() -> dict[str, Any]:
    """What others are to know of this worker: how its processes are kept apart, and why it begins no job, if so."""
    low = disk_room_for_jobs()
    return isolation().report() | ({NO_ROOM: to_json(low.words)} if low else {})


def _clear() -> None:
    """What dead workers had and left; what cannot be done is tried again later and never keeps the heart from
    beating.
    """
    try:
        sweep_owners()
        leftovers_clear()
    except Exception as error:
        if isinstance(error, DatabaseFault) and is_outage(error):
            logger.warning("what dead workers left is not cleared away: %s", error)
        else:
            logger.exception("what dead workers left could not be cleared away")
        connection.close()
