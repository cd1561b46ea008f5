"""Runs one attempt of a training job, from claim to recorded outcome, in a thread of the worker.

It computes nothing: the work is done by an exec'ed process, which `jobs.runner` starts and follows. All
writing while the process runs is the `Reporter`'s. Called by the Celery task only.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from jobs.algorithms.registry import algorithm_get
from jobs.instance_types import InstanceType, cpus_here, instance_type_get
from jobs.metric_regex import MetricDefinition, MetricMatcher
from jobs.models import TrainingJob
from jobs.runner.control_groups import GroupLimits
from jobs.runner.follow import Cause, Ending, Limits, job_follow
from jobs.runner.launch import job_environment, job_launch, job_sandbox
from jobs.runner.model_facts import model_facts_read
from jobs.runner.outcome import Outcome, input_failure, internal_failure, outcome_of
from jobs.runner.pack import model_pack
from jobs.runner.spec import PARENT_AT_STDIN
from jobs.runner.workspace import ChannelFeeder, ChannelSource, Workspace
from jobs.services.clearing import attempt_dir, earlier_attempts_clear
from jobs.services.inputs import channel_sources, job_spec, manifest_facts
from jobs.services.lifecycle import (
    ATTEMPTS_MAX,
    Artifact,
    Lease,
    LeaseLost,
    stopped,
    training_job_claim,
    training_job_finish,
    training_job_move,
    training_job_note,
    training_job_release,
)
from jobs.services.owners import owner_new
from jobs.services.reporting import Reporter
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import NotFound, PlatformError, StorageFull, TransientError
from mlplatform.core.keeping.disk_room import disk_room_for_jobs
from mlplatform.core.log_lines import LogLine
from mlplatform.core.names import uri
from mlplatform.core.status import FailureKind, SecondaryStatus
from mlplatform.core.storage.faults import JOB_FOLDER, storage_fault
from mlplatform.core.storage.objects import object_store, objects_take_back
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

logger = logging.getLogger(__name__)
T = TypeVar("T")
_AWAY: Final = (DatabaseError, InterfaceError)
_RETRY_S: Final = 0.5
_GIVE_UP_S: Final = 20.0
PROGRAM: Final = (sys.executable, "-m", "jobs.runner")
"""What is exec'ed for an attempt; the path of its `job.json` is added."""


class _Released(Exception):
    """The attempt cannot go on here and now; the job is to be started again."""


def training_job_run(*, job_id: int, worker: WorkerState, program: Sequence[str] = PROGRAM) -> bool:
    """Claims and runs the job. False when there was nothing to claim.

    Returns when the outcome is recorded, the job was given back, or the lease was lost; never raises for what
    the job did.
    """
    if worker.shutting_down() or _no_room(job_id):
        return False
    lease = training_job_claim(job_id=job_id, owner=owner_new(worker_name=worker.name))
    if lease is None:
        return False
    job = TrainingJob.objects.select_related("project", "log").get(pk=job_id)
    try:
        earlier_attempts_clear(uid=job.uid, attempt=lease.attempt)
        attempt = _Attempt(job, lease, worker, program)
    except Exception as error:
        _not_begun(job, lease, error)
    else:
        attempt.run()
    return True


def _no_room(job_id: int) -> bool:
    """Whether the disk is below its floor: the job stays pending and is sent again when there is room."""
    low = disk_room_for_jobs()
    if low is not None:
        logger.warning("job %s is not begun: %s", job_id, low.words)
    return low is not None


def _not_begun(job: TrainingJob, lease: Lease, error: Exception) -> None:
    """Gives back or fails a job that was claimed and cannot be run here, as what it needs is not to be had."""
    try:
        training_job_finish(lease=lease, outcome=_fault(job, lease, error))
    except _Released as reason:
        training_job_release(lease=lease, message=text_of(reason))
    except LeaseLost:
        logger.warning("job %s: attempt %s lost its lease", job.uid, lease.attempt)


def _fault(job: TrainingJob, lease: Lease, error: Exception) -> Outcome:
    """What went wrong in the platform itself as an outcome. Raises _Released for what passes, but for the last time."""
    fault = _transient(error)
    if fault is not None:
        if lease.attempt < ATTEMPTS_MAX:
            raise _Released(_("{said}; the job will be started again", said=fault.message)) from error
        full = isinstance(fault, StorageFull)
        return internal_failure(
            fault.message, kind=FailureKind.STORAGE_FULL if full else FailureKind.INTERNAL
        )
    logger.error("job %s: attempt %s failed in the platform", job.uid, lease.attempt, exc_info=error)
    return internal_failure(_could_not_run(error))


def _could_not_run(error: Exception) -> str:
    name = type(error).__name__
    if not isinstance(error, PlatformError):
        return _("The platform could not run the job: {error}", error=name)
    return _("The platform could not run the job: {error}: {said}", error=name, said=error.message)


def _transient(error: Exception) -> TransientError | None:
    """The error as one that passes; None for one that does not."""
    if isinstance(error, TransientError):
        return error
    if isinstance(error, _AWAY):
        return TransientError(_("The database was away"))
    return storage_fault(error, JOB_FOLDER)


class _Attempt:
    """One attempt: `run` goes through the secondary statuses and ends with one outcome, written under the
    lease.
    """

    def __init__(self, job: TrainingJob, lease: Lease, worker: WorkerState, program: Sequence[str]) -> None:
        self._job = job
        self._lease = lease
        self._worker = worker
        self._program = program
        self._instance: InstanceType = instance_type_get(job.instance_type)
        self._workspace = Workspace(attempt_dir(uid=job.uid, attempt=lease.attempt))
        self._store = object_store()
        self._feeders: list[ChannelFeeder] = []
        self._reporter = Reporter(
            lease=lease,
            stream=job.log,
            matcher=_matcher(job),
            log_limit_bytes=settings.MLPLATFORM_LOG_LIMIT_BYTES,
            shutting_down=worker.shutting_down,
        )

    def run(self) -> None:
        self._reporter.start()
        try:
            self._record(self._outcome())
        except LeaseLost:
            logger.warning("job %s: attempt %s lost its lease", self._job.uid, self._lease.attempt)
        except _Released as reason:
            self._release(text_of(reason))
        finally:
            self._close()
            self._workspace.remove()

    def _outcome(self) -> tuple[Outcome, Artifact | None]:
        """What came of the attempt; what goes wrong in the platform itself is an outcome too."""
        try:
            return self._run_process()
        except (LeaseLost, _Released):
            raise
        except NotFound as error:
            return input_failure(error.message), None
        except Exception as error:
            return _fault(self._job, self._lease, error), None

    def _run_process(self) -> tuple[Outcome, Artifact | None]:
        sources = self._download()
        order = self._reporter.order()
        if order is Cause.STOP:
            return stopped(), None
        ending = self._train(sources) if order is None else Ending(1, order, 0, 0.0)
        if ending.cause is Cause.LOST:
            raise LeaseLost
        if ending.cause is Cause.SHUTDOWN and ending.returncode != 0:
            raise _Released(
                _(
                    "Worker {name} is shutting down; the job will be started again",
                    name=self._worker.name,
                )
            )
        outcome = outcome_of(
            ending=ending,
            root=self._workspace.root,
            tail=self._reporter.tail(),
            max_runtime_s=self._job.max_runtime_s,
            memory_limit_bytes=self._instance.memory_limit_bytes,
        )
        keep = outcome.may_have_model and ending.returncode == 0
        return outcome, self._upload() if keep else None

    def _download(self) -> list[ChannelSource]:
        self._move(SecondaryStatus.DOWNLOADING, _("Downloading input data"))
        sources = self._patiently(lambda: channel_sources(job=self._job))
        self._storing(lambda: self._place(sources))
        return sources

    def _place(self, sources: list[ChannelSource]) -> None:
        self._workspace.make()
        self._workspace.configure(
            hyperparameters=self._job.hyperparameters,
            channels=sources,
            instance_type=self._job.instance_type,
        )
        for source in sources:
            self._workspace.place(source, self._store)

    def _train(self, sources: list[ChannelSource]) -> Ending:
        n_threads = max(1, min(self._instance.vcpus, cpus_here()))
        sandbox = job_sandbox(root=self._workspace.root)
        root = sandbox.inside(self._workspace.root)
        spec = self._patiently(
            lambda: job_spec(
                job=self._job,
                attempt=self._lease.attempt,
                root=root,
                n_threads=n_threads,
                memory_limit_bytes=self._instance.memory_limit_bytes,
                parent_pid=PARENT_AT_STDIN if sandbox.enclosed else os.getpid(),
            )
        )
        spec.write(self._workspace.root)
        self._workspace.hand_over(sandbox.own_user)
        self._move(SecondaryStatus.TRAINING, _("Training in progress"))
        if self._lease.attempt > 1:
            self._reporter.write(
                [LogLine.of(f"[attempt {self._lease.attempt}]", time.time_ns() // 1_000_000)]
            )
        process = job_launch(
            argv=[*self._program, str(spec.path)],
            environment=job_environment(
                folder=root,
                job_name=self._job.name,
                job_arn=self._job.arn,
                given=self._job.environment,
            ),
            marker=str(self._workspace.root),
            sandbox=sandbox,
            limits=GroupLimits.of_instance(
                memory_bytes=self._instance.memory_limit_bytes, vcpus=self._instance.vcpus
            ),
        )
        self._feeders = [
            ChannelFeeder(self._workspace, source, self._store)
            for source in sources
            if source.input_mode == "Pipe"
        ]
        for feeder in self._feeders:
            feeder.start()
        limits = Limits(max_runtime_s=self._job.max_runtime_s, memory_bytes=self._instance.memory_limit_bytes)
        ending = job_follow(process=process, sink=self._reporter, orders=self._reporter, limits=limits)
        self._check_feeders(ending)
        return ending

    def _check_feeders(self, ending: Ending) -> None:
        """A pipe that ended early for want of its data is the cause of what the process then complained of."""
        for feeder in self._feeders:
            feeder.end()
            if ending.cause is Cause.EXIT and ending.returncode != 0 and feeder.error is not None:
                raise feeder.error

    def _upload(self) -> Artifact | None:
        """Packs and stores the model; None when a job that was stopped saved none."""
        self._move(SecondaryStatus.UPLOADING, _("Uploading generated training model"))
        said = model_facts_read(self._workspace.output_dir)
        facts = said | self._patiently(lambda: manifest_facts(job=self._job))
        packed = self._storing(
            lambda: model_pack(
                model_dir=self._workspace.model_dir,
                archive=self._workspace.private_dir() / "model.tar.gz",
                facts=facts,
            )
        )
        if not packed.manifest["files"]:
            return None
        if packed.left_out:
            names = ", ".join(packed.left_out[:10])
            self._note(_("Not in the model, no regular files: {names}", names=names))
        key = f"training-jobs/{self._job.uid}/{self._lease.attempt}/output/model.tar.gz"
        stored = self._storing(
            lambda: self._store.put_file(packed.path, uri(self._job.project.bucket, key), move=True)
        )
        return Artifact(stored.uri, stored.sha256, stored.size_bytes, packed.manifest)

    def _record(self, result: tuple[Outcome, Artifact | None]) -> None:
        """Writes the outcome once the log is complete; an artifact nobody will refer to is removed."""
        outcome, artifact = result
        self._close()
        try:
            self._patiently(
                lambda: training_job_finish(lease=self._lease, outcome=outcome, artifact=artifact)
            )
        except LeaseLost:
            if artifact is not None:
                objects_take_back([artifact.uri])
            raise

    def _release(self, message: str) -> None:
        self._close()
        try:
            self._patiently(lambda: training_job_release(lease=self._lease, message=message))
        except LeaseLost:
            logger.warning("job %s: attempt %s lost its lease", self._job.uid, self._lease.attempt)

    def _move(self, status: SecondaryStatus, message: str) -> None:
        self._patiently(lambda: training_job_move(lease=self._lease, status=status, message=message))

    def _storing(self, step: Callable[[], T]) -> T:
        """A step that needs room on a disk, or the store: waits a while for either, and says so among the events.

        Raises:
            TransientError: still not to be had, or the job or the worker is to end.
        """
        begun = time.monotonic()
        is_told = False
        while True:
            try:
                return step()
            except (TransientError, OSError) as error:
                fault = _transient(error)
                if fault is None:
                    raise
                is_over = time.monotonic() - begun > settings.MLPLATFORM_STORE_PATIENCE_S
                if is_over or self._reporter.order() is not None:
                    raise fault from error
                if not is_told:
                    self._note(_("{said}. The job waits for it", said=fault.message))
                    is_told = True
                self._worker.wait(_RETRY_S)

    def _note(self, message: str) -> None:
        logger.warning("job %s: %s", self._job.uid, message)
        self._patiently(lambda: training_job_note(lease=self._lease, message=message))

    def _patiently(self, write: Callable[[], T]) -> T:
        """A write that waits for a database that is away; gives up only when the worker is to end."""
        give_up = self._give_up()
        while True:
            try:
                return write()
            except _AWAY as error:
                connection.close()
                if give_up():
                    raise LeaseLost from error
                logger.warning("job %s: database away: %s", self._job.uid, error)
                time.sleep(_RETRY_S)

    def _give_up(self) -> Callable[[], bool]:
        """Says, from 20 s after now, whether to stop waiting because the worker is to end."""
        begun = time.monotonic()
        return lambda: self._worker.shutting_down() and time.monotonic() - begun > _GIVE_UP_S

    def _close(self) -> None:
        for feeder in self._feeders:
            feeder.end()
        self._reporter.close(give_up=self._give_up())


def _matcher(job: TrainingJob) -> MetricMatcher:
    """The metrics that the algorithm declares and the job's own, which win where a name is used twice."""
    declared = {metric.name: metric.regex for metric in algorithm_get(job.algorithm).metrics}
    own = {definition["name"]: definition["regex"] for definition in job.metric_definitions}
    return MetricMatcher(MetricDefinition(name, regex) for name, regex in (declared | own).items())
