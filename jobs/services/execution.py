"""Runs one attempt of a training job, from claim to recorded outcome, in a thread of the worker.

It computes nothing: the work is done by an exec'ed process, which `jobs.runner` starts and follows. All
writing while the process runs is the `Reporter`'s; what is waited for is `attempt_steps`, what came of it
`attempt_results`. Called by the Celery task only.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from django.conf import settings

from jobs.algorithms.registry import algorithm_get
from jobs.instance_types import InstanceType, cpus_here, instance_type_get
from jobs.metric_regex import MetricDefinition, MetricMatcher
from jobs.models import TrainingJob
from jobs.runner.control_groups import GroupLimits
from jobs.runner.follow import Cause, Ending, Limits, job_follow
from jobs.runner.launch import JobProcess, job_environment, job_launch, job_sandbox
from jobs.runner.outcome import Outcome, input_failure, outcome_of
from jobs.runner.sandbox import Sandbox
from jobs.runner.spec import PARENT_AT_STDIN, JobSpec
from jobs.runner.warm_process import WarmKind, environment_key
from jobs.runner.workspace import ChannelFeeder, ChannelSource, Workspace
from jobs.services.attempt_faults import Released, fault_outcome
from jobs.services.attempt_results import AttemptResults
from jobs.services.attempt_steps import AttemptSteps
from jobs.services.clearing import attempt_dir, earlier_attempts_clear
from jobs.services.inputs import channel_sources, hyperparameters_of_process, job_spec
from jobs.services.lifecycle import (
    Artifact,
    Lease,
    LeaseLost,
    StoredOutput,
    stopped,
    training_job_claim,
    training_job_finish,
    training_job_release,
)
from jobs.services.owners import owner_new
from jobs.services.reporting import Reporter
from jobs.services.script_attempt import PROGRAM as SCRIPT_PROGRAM
from jobs.services.script_attempt import ScriptAttempt
from jobs.services.warm_processes import WarmProcesses
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import DataError, NotFound
from mlplatform.core.keeping.disk_room import disk_room_for_jobs
from mlplatform.core.log_lines import LogLines
from mlplatform.core.status import SecondaryStatus
from mlplatform.core.storage.objects import object_store, objects_take_back
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

logger = logging.getLogger(__name__)
PROGRAM: Final = (sys.executable, "-m", "jobs.runner")
"""What is exec'ed for an attempt; the path of its `job.json` is added."""


def training_job_run(
    *,
    job_id: int,
    worker: WorkerState,
    program: Sequence[str] = PROGRAM,
    warm: WarmProcesses | None = None,
) -> bool:
    """Claims and runs the job. False when there was nothing to claim.

    Args:
        warm: Where to look for a process that was started ahead; None: always a new one.

    Returns when the outcome is recorded, the job was given back, or the lease was lost; never raises for what
    the job did.
    """
    if worker.shutting_down() or _no_room(job_id):
        return False
    lease = training_job_claim(job_id=job_id, owner=owner_new(worker_name=worker.name))
    if lease is None:
        return False
    job = TrainingJob.objects.select_related("project", "log", "source").get(pk=job_id)
    try:
        earlier_attempts_clear(uid=job.uid, attempt=lease.attempt)
        attempt = _Attempt(job, lease, worker, program, warm)
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
        training_job_finish(lease=lease, outcome=fault_outcome(job, lease, error))
    except Released as reason:
        training_job_release(lease=lease, message=text_of(reason))
    except LeaseLost:
        logger.warning("job %s: attempt %s lost its lease", job.uid, lease.attempt)


class _Attempt:
    """One attempt: `run` goes through the secondary statuses and ends with one outcome, written under the
    lease.
    """

    def __init__(
        self,
        job: TrainingJob,
        lease: Lease,
        worker: WorkerState,
        program: Sequence[str],
        warm: WarmProcesses | None,
    ) -> None:
        self._job = job
        self._lease = lease
        self._worker = worker
        self._program = program
        self._warm = warm
        self._instance: InstanceType = instance_type_get(job.instance_type)
        self._workspace = Workspace(attempt_dir(uid=job.uid, attempt=lease.attempt))
        self._store = object_store()
        self._feeders: list[ChannelFeeder] = []
        self._root = self._workspace.root
        """As the process sees it."""
        self._input_bytes = 0
        self._output: StoredOutput | None = None
        self._script = None if job.source is None else ScriptAttempt(job, self._workspace, self._store)
        if self._script is not None and tuple(program) == PROGRAM:
            self._program = SCRIPT_PROGRAM
        self._reporter = Reporter(
            lease=lease,
            stream=job.log,
            matcher=_matcher(job),
            log_limit_bytes=settings.MLPLATFORM_LOG_LIMIT_BYTES,
            shutting_down=worker.shutting_down,
        )
        self._steps = AttemptSteps(uid=job.uid, lease=lease, worker=worker, reporter=self._reporter)
        self._results = AttemptResults(job, lease.attempt, self._workspace, self._store, self._steps)

    def run(self) -> None:
        self._reporter.start()
        try:
            self._record(self._outcome())
        except LeaseLost:
            logger.warning("job %s: attempt %s lost its lease", self._job.uid, self._lease.attempt)
        except Released as reason:
            self._release(text_of(reason))
        finally:
            self._close()
            self._workspace.remove()

    def _outcome(self) -> tuple[Outcome, Artifact | None]:
        """What came of the attempt; what goes wrong in the platform itself is an outcome too."""
        try:
            return self._run_process()
        except (LeaseLost, Released):
            raise
        except NotFound as error:
            return input_failure(error.message), None
        except DataError as error:  # the source code or its requirements
            return input_failure(error.text), None
        except Exception as error:
            return fault_outcome(self._job, self._lease, error), None

    def _run_process(self) -> tuple[Outcome, Artifact | None]:
        sources = self._download()
        order = self._reporter.order()
        if order is Cause.STOP:
            return stopped(), None
        ending = self._train(sources) if order is None else Ending(1, order, 0, 0.0)
        self._reporter.flush()  # the last lines, while the model is packed
        if ending.cause is Cause.LOST:
            raise LeaseLost
        if ending.cause is Cause.SHUTDOWN and ending.returncode != 0:
            raise Released(
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
            disk_limit_bytes=settings.MLPLATFORM_JOB_DISK_BYTES,
        )
        if self._script is not None:
            outcome = self._script.outcome(outcome, tail=self._reporter.tail(), root=self._root)
        self._output = self._results.store_output(outcome)
        keep = outcome.may_have_model and ending.returncode == 0
        return outcome, self._results.store_model() if keep else None

    def _download(self) -> list[ChannelSource]:
        self._steps.move(SecondaryStatus.DOWNLOADING, _("Downloading input data"))
        sources = self._steps.storing(lambda: self._steps.patiently(lambda: channel_sources(job=self._job)))
        self._steps.storing(lambda: self._place(sources))
        if self._script is not None and self._script.has_requirements():
            self._steps.move(SecondaryStatus.DOWNLOADING, _("Preparing the packages of requirements.txt"))
            self._script.prepare(
                say=self._reporter.write, cancelled=lambda: self._reporter.order() is not None
            )
        return sources

    def _place(self, sources: list[ChannelSource]) -> None:
        self._workspace.make()
        self._workspace.configure(
            hyperparameters=hyperparameters_of_process(job=self._job),
            channels=sources,
            instance_type=self._job.instance_type,
        )
        self._input_bytes = sum(self._workspace.place(source, self._store) for source in sources)
        if self._script is not None:
            self._script.place()

    def _train(self, sources: list[ChannelSource]) -> Ending:
        n_threads = max(1, min(self._instance.vcpus, cpus_here()))
        script = self._script
        sandbox = job_sandbox(
            root=self._workspace.root,
            network=script is not None and script.network,
            further=() if script is None else script.mounts,
        )
        self._root = root = sandbox.inside(self._workspace.root)
        spec = self._steps.patiently(
            lambda: job_spec(
                job=self._job,
                attempt=self._lease.attempt,
                root=root,
                n_threads=n_threads,
                memory_limit_bytes=self._instance.memory_limit_bytes,
                parent_pid=PARENT_AT_STDIN if sandbox.enclosed else os.getpid(),
                script=None if script is None else script.spec(n_gpus=self._instance.gpus),
            )
        )
        spec.write(self._workspace.root)
        self._steps.move(SecondaryStatus.TRAINING, _("Training in progress"))
        if self._lease.attempt > 1:
            self._reporter.write(LogLines.of(f"[attempt {self._lease.attempt}]", time.time_ns() // 1_000_000))
        process = self._go_on_warm(spec, sandbox) or self._launch(spec, sandbox)
        self._feeders = [
            ChannelFeeder(self._workspace, source, self._store)
            for source in sources
            if source.input_mode == "Pipe"
        ]
        for feeder in self._feeders:
            feeder.start()
        limits = Limits(
            max_runtime_s=self._job.max_runtime_s,
            memory_bytes=self._instance.memory_limit_bytes,
            disk_bytes=settings.MLPLATFORM_JOB_DISK_BYTES,
            folders=self._workspace.written_dirs,
        )
        ending = job_follow(process=process, sink=self._reporter, orders=self._reporter, limits=limits)
        self._check_feeders(ending)
        return ending

    def _launch(self, spec: JobSpec, sandbox: Sandbox) -> JobProcess:
        self._workspace.hand_over(sandbox.own_user)
        return job_launch(
            argv=[*self._program, str(spec.path)],
            environment=job_environment(
                folder=spec.root,
                job_name=self._job.name,
                job_arn=self._job.arn,
                given=self._job.environment,
            ),
            marker=str(self._workspace.root),
            sandbox=sandbox,
            limits=self._limits(),
        )

    def _go_on_warm(self, spec: JobSpec, sandbox: Sandbox) -> JobProcess | None:
        """The job in a process that waited for one of its kind; None where there is none."""
        name = self._job.algorithm if self._script is None else self._script.warm_kind
        if self._warm is None or name is None or tuple(self._program) not in (PROGRAM, SCRIPT_PROGRAM):
            return None
        kind = WarmKind(
            name=name,
            n_threads=spec.n_threads,
            limits=self._limits(),
            given=environment_key(self._job.environment),
            network=sandbox.network,
        )
        process = self._warm.take(kind)
        if process is None:
            return None
        return process.begin(
            self._workspace,
            program=[self._program[-1], str(spec.path)],
            job_name=self._job.name,
            job_arn=self._job.arn,
        )

    def _limits(self) -> GroupLimits:
        return GroupLimits.of_instance(
            memory_bytes=self._instance.memory_limit_bytes, vcpus=self._instance.vcpus
        )

    def _check_feeders(self, ending: Ending) -> None:
        """A pipe that ended early for want of its data is the cause of what the process then complained of."""
        for feeder in self._feeders:
            feeder.end()
            if ending.cause is Cause.EXIT and ending.returncode != 0 and feeder.error is not None:
                raise feeder.error

    def _record(self, result: tuple[Outcome, Artifact | None]) -> None:
        """Writes the outcome once the log is complete; an artifact nobody will refer to is removed."""
        outcome, artifact = result
        self._close()
        try:
            self._steps.patiently(
                lambda: training_job_finish(
                    lease=self._lease,
                    outcome=outcome,
                    artifact=artifact,
                    output=self._output,
                    input_bytes=self._input_bytes + sum(feeder.n_bytes for feeder in self._feeders),
                )
            )
        except LeaseLost:
            objects_take_back([stored.uri for stored in (artifact, self._output) if stored is not None])
            raise

    def _release(self, message: str) -> None:
        self._close()
        try:
            self._steps.patiently(lambda: training_job_release(lease=self._lease, message=message))
        except LeaseLost:
            logger.warning("job %s: attempt %s lost its lease", self._job.uid, self._lease.attempt)

    def _close(self) -> None:
        for feeder in self._feeders:
            feeder.end()
        self._reporter.close(give_up=self._steps.give_up())


def _matcher(job: TrainingJob) -> MetricMatcher:
    """The metrics that the algorithm declares and the job's own, which win where a name is used twice."""
    declared = {metric.name: metric.regex for metric in algorithm_get(job.algorithm).metrics}
    own = {definition["name"]: definition["regex"] for definition in job.metric_definitions}
    return MetricMatcher(MetricDefinition(name, regex) for name, regex in (declared | own).items())
