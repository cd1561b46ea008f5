"""The actions of a tuning job's plan, each carried out through the services that people use. Called by `tuning_steps`.

What is made and the row that has it are one commit, conditional on the row being as it was seen.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.db import Error as DatabaseFault
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from jobs.models import DatasetVersion, TrainingJob, TuningJob, TuningStrategy, TuningTrial
from jobs.services.channels import ChannelRequest
from jobs.services.scripts import ScriptRequest
from jobs.services.training import training_job_create, training_job_stop
from jobs.services.tuning_lease import tuning_leased
from jobs.services.tuning_seen import Row, Seen, objective_steps
from jobs.tuning.asker import Asker, AskerFault, History, SamplerError
from jobs.tuning.plan import (
    Action,
    Begin,
    Conclude,
    Create,
    End,
    Finish,
    StopEarly,
    StopJob,
)
from mlplatform.core import clock
from mlplatform.core.errors import (
    Conflict,
    InsufficientStorage,
    LimitExceeded,
    NotFound,
    PlatformError,
    ServiceUnavailable,
    TransientError,
)
from mlplatform.core.health.outages import is_outage, outage_of
from mlplatform.core.models import Role
from mlplatform.core.status import ACTIVE_TUNING, TERMINAL_TRIAL, TrialStatus, TuningJobStatus
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)

_PASSES: Final = (LimitExceeded, TransientError, ServiceUnavailable, InsufficientStorage)
"""What passes by itself: it is tried again, and the tuning job says what it waits for."""
_FAULT: Final = _("The platform could not carry out this step; its log says why")


class _Overtaken(Exception):
    """Somebody else has moved the trial, or the tuning job, on: what was to be done is undone."""


class _Gone(Exception):
    """What every trial needs is there no more; the message says what."""


class TuningActions:
    """The actions of one pass."""

    def __init__(self, seen: Seen, asker: Asker, owner: str) -> None:
        self._seen = seen
        self._job = seen.job
        self._asker = asker
        self._owner = owner
        self._creator = seen.creator
        # What is stopped is so whatever the creator may by now.
        self._janitor = replace(seen.creator, role=Role.EDITOR)
        self._begins = True
        self.n_begun = 0
        """So many trials have got their job."""

    def carry_out(self, action: Action) -> bool:
        """Whether anything was done. What passes is waited for; what cannot be made fails its trial."""
        if isinstance(action, Begin | Create) and not self._begins:
            return False
        try:
            done = self._act(action)
        except _Overtaken:
            return False
        except _Gone as error:
            return self._conclude(error.args[0])
        except SamplerError as error:
            logger.exception("the sampler of tuning job %s", self._job.name)
            return self._conclude(_("the sampler broke down: {error}", error=str(error)))
        except AskerFault as error:
            logger.warning("tuning job %s: %s", self._job.name, error)
            return self._wait(_("waits: the process that makes suggestions ended; it is started again"))
        except Exception as error:
            if isinstance(error, DatabaseFault) and is_outage(error):
                raise
            fault = error if isinstance(error, PlatformError) else outage_of(error)
            if isinstance(fault, _PASSES):
                return self._wait(_("waits: {reason}", reason=_reason(fault)))
            logger.exception("tuning job %s: %s", self._job.name, action)
            return self._wait(_FAULT)
        if done and isinstance(action, Begin | Create):
            self._said("")
        return done

    def _act(self, action: Action) -> bool:
        match action:
            case Begin(number):
                return self._begin(number)
            case Create(number):
                return self._create(self._seen.rows[number])
            case StopEarly(number, reason):
                return self._stop_early(self._seen.rows[number], reason)
            case StopJob(number):
                return self._stopped(self._seen.rows[number]["training_job__name"])
            case End(number):
                return self._end(self._seen.rows[number], action)
            case Conclude(reason):
                return self._conclude(reason)
            case Finish(status, reason):
                return self._finish(status, reason)
        raise AssertionError(action)

    # ---- beginning

    def _begin(self, number: int) -> bool:
        """The trial's row first, then its job: who is killed between leaves a trial that the next pass goes on with."""
        seen, job = self._seen, self._job
        suggested = self._asker.suggest(
            study=job.uid, spec=seen.spec, history=self._history(number), number=number
        )
        try:
            with transaction.atomic():
                self._goes_on()
                trial = TuningTrial.objects.create(
                    tuning_job=job,
                    number=number,
                    parameters=suggested.parameters,
                    internal=suggested.internal,
                    job_name=_job_name(job, number),
                    created_at=clock.now(),
                )
        except BaseException as error:
            self._asker.forget(study=job.uid)
            if isinstance(error, IntegrityError):
                raise _Overtaken from error
            raise
        row = {"id": trial.pk, "number": number, "parameters": trial.parameters, "job_name": trial.job_name}
        self._create(row)
        return True

    def _history(self, number: int) -> History:
        """With those trials that this pass has begun itself."""
        history = self._seen.history
        if self._job.strategy == TuningStrategy.RANDOM:
            return history
        begun = {earlier: "running" for earlier in range(1, number) if earlier not in history.states}
        return replace(history, states={**history.states, **begun})

    def _create(self, row: Row) -> bool:
        """The job, and that its trial has begun, are one commit. A trial whose job is refused has failed."""
        try:
            with transaction.atomic():
                self._goes_on()
                self._data_is_there()
                self._become(
                    row, TrialStatus.IN_PROGRESS, training_job=self._training_job(row), started_at=clock.now()
                )
        except Conflict:
            return self._name_taken(row)
        except _PASSES:
            raise
        except PlatformError as error:
            return self._fail(row, error.message)
        self.n_begun += 1
        return True

    def _training_job(self, row: Row) -> TrainingJob:
        job = self._job
        request: dict[str, Any] = {
            "name": row["job_name"],
            "algorithm": job.algorithm,
            "hyperparameters": {**job.static_hyperparameters, **row["parameters"]},
            "channels": {name: _channel(given) for name, given in job.channels.items()},
            "instance_type": job.instance_type,
            "instance_count": job.instance_count,
            "max_runtime_s": job.job_max_runtime_s,
            "metric_definitions": job.metric_definitions,
            "environment": job.environment,
            "tags": job.tags,
        }
        if job.source is not None:
            request["script"] = ScriptRequest(
                framework=job.framework, entry_point=job.entry_point, source=job.source.uid
            )
        return training_job_create(actor=self._creator, **request)

    def _name_taken(self, row: Row) -> bool:
        """Somebody has a job of that name: the trial's own, made by who was killed or overtaken, or another's."""
        found = TrainingJob.objects.filter(
            project=self._job.project, name=row["job_name"], trial=None
        ).first()
        wanted = {**self._job.static_hyperparameters, **row["parameters"]}
        if (
            found is not None
            and found.hyperparameters == wanted
            and found.created_by_id == self._job.created_by_id
        ):
            self._become(row, TrialStatus.IN_PROGRESS, training_job=found, started_at=found.created_at)
            return True
        renamed = _job_name(self._job, row["number"])
        self._rows(row).filter(status=TrialStatus.PENDING).update(job_name=renamed)
        return True

    # ---- stopping and ending

    def _stop_early(self, row: Row, reason: str) -> bool:
        with transaction.atomic():
            unsaid = self._rows(row).filter(explanation="", status=TrialStatus.IN_PROGRESS)
            if not unsaid.update(explanation=reason):
                raise _Overtaken
            if not self._stopped(row["training_job__name"]):
                raise _Overtaken
        return True

    def _stopped(self, name: str) -> bool:
        """What has ended by itself, or is gone, needs no more."""
        with contextlib.suppress(NotFound, Conflict):
            training_job_stop(actor=self._janitor, name=name)
            return True
        return False

    def _end(self, row: Row, end: End) -> bool:
        steps = {}
        job_id = row["training_job_id"]
        if job_id is not None and end.value is not None:
            steps = objective_steps(job_ids=[job_id], metric=self._job.objective_metric)
        with transaction.atomic():
            self._become(
                row,
                end.status,
                value=end.value,
                explanation=end.explanation,
                steps=steps.get(job_id, []),
                ended_at=row["training_job__ended_at"] or clock.now(),
            )
            if end.value is not None:
                self._best_update()
        return True

    def _best_update(self) -> None:
        sign = "" if self._job.objective_type == "Minimize" else "-"
        valued = TuningTrial.objects.filter(tuning_job=self._job, value__isnull=False)
        best = valued.order_by(f"{sign}value", "number").first()
        TuningJob.objects.filter(pk=self._job.pk).update(best_trial=best)

    def _fail(self, row: Row, reason: str) -> bool:
        self._become(row, TrialStatus.FAILED, explanation=reason, ended_at=clock.now())
        return True

    def _conclude(self, reason: str) -> bool:
        rows = tuning_leased(self._job.pk, self._owner).filter(status=TuningJobStatus.IN_PROGRESS)
        return bool(status_update(rows, to=TuningJobStatus.STOPPING, ended_because=reason, waiting=""))

    def _finish(self, status: TuningJobStatus, reason: str) -> bool:
        """Not where somebody has asked for more trials, or for a stop, since the look."""
        under_way = TuningTrial.objects.filter(tuning_job=OuterRef("pk")).exclude(status__in=TERMINAL_TRIAL)
        same = TuningJob.objects.filter(
            ~Exists(under_way), pk=self._job.pk, status=self._job.status, max_jobs=self._job.max_jobs
        )
        failed = status == TuningJobStatus.FAILED
        changes = {"failure": reason} if failed else {"ended_because": reason}
        finished = bool(status_update(same, to=status, waiting="", ended_at=clock.now(), **changes))
        if finished:
            logger.info("tuning job %s is %s: %s", self._job.name, status.value, reason)
        return finished

    # ---- rows

    def _wait(self, reason: str) -> bool:
        """Nothing else is begun in this pass: it would wait for the same."""
        self._begins = False
        self._said(reason)
        return False

    def _said(self, reason: str) -> None:
        if reason != self._job.waiting:
            _under_way().filter(pk=self._job.pk).update(waiting=reason)
            self._job.waiting = reason

    def _goes_on(self) -> None:
        """Inside a transaction: nobody stops the tuning job before it is committed. Raises _Overtaken: somebody has, or
        drives it instead.
        """
        mine = tuning_leased(self._job.pk, self._owner).select_for_update(of=("self",))
        if not mine.filter(status=TuningJobStatus.IN_PROGRESS).values_list("pk").first():
            raise _Overtaken

    def _data_is_there(self) -> None:
        """Raises _Gone for a dataset that was deleted: one that has its name by now is other data."""
        pinned = {
            given["version_uid"]: given["dataset"]
            for given in self._job.channels.values()
            if "version_uid" in given
        }
        there = set(DatasetVersion.objects.filter(uid__in=pinned).values_list("uid", flat=True))
        for uid, reference in pinned.items():
            if uid not in there:
                raise _Gone(_("dataset {name} was deleted", name=reference))

    def _become(self, row: Row, status: TrialStatus, **values: Any) -> None:
        """Raises _Overtaken: the trial is no longer as it was seen."""
        if not status_update(self._rows(row).exclude(status__in=TERMINAL_TRIAL), to=status, **values):
            raise _Overtaken

    def _rows(self, row: Row) -> QuerySet[TuningTrial]:
        return TuningTrial.objects.filter(pk=row["id"])


def _under_way() -> QuerySet[TuningJob]:
    return TuningJob.objects.filter(status__in=ACTIVE_TUNING)


def _channel(given: Mapping[str, Any]) -> ChannelRequest:
    return ChannelRequest(**{name: value for name, value in given.items() if name != "version_uid"})


def _job_name(job: TuningJob, number: int) -> str:
    return f"{job.name}-{number:03d}-{secrets.token_hex(4)}"


def _reason(error: PlatformError) -> str:
    """The complaint itself where there is one, as short as it can be."""
    return error.errors[0].message if error.errors else error.message
