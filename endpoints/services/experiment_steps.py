"""Carries an experiment on: looks at what is, plans (`endpoints.experiment_plan`), and acts through the services.

What is made and the cell that has it are one commit, conditional on the cell being as it was seen. So a pass that is
killed, or made twice at a time, neither trains twice nor loses an endpoint: the next one finds all that is there. Only
the copy of a model is made outside a transaction; it is found again by its job and name.

Things are begun in the name of whom the experiment runs for, as long as they may edit, and torn down whatever they may.
Called by the scheduler's sweep (`endpoints.sweeping`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from django.db import Error as DatabaseFault
from django.db import transaction
from django.db.models import Exists, Q, QuerySet

from endpoints.experiment_plan import (
    Action,
    DeleteEndpoint,
    Deploy,
    End,
    Evaluate,
    Finish,
    StopEvaluation,
    StopJob,
    Train,
    Wait,
    experiment_plan,
)
from endpoints.models import Endpoint, Evaluation, Experiment, ExperimentCell, Model
from endpoints.services.endpoints import endpoint_create, endpoint_delete
from endpoints.services.evaluations import evaluation_create, evaluation_stop
from endpoints.services.experiment_names import name_free
from endpoints.services.experiment_seen import Row, Seen, experiment_seen
from endpoints.services.models import model_create
from endpoints.services.variants import VariantRequest
from jobs.models import TrainingJob
from jobs.services.channels import ChannelRequest
from jobs.services.training import training_job_create, training_job_stop
from mlplatform.core import clock
from mlplatform.core.audit.record import Face, Origin, audit_origin
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
from mlplatform.core.status import TERMINAL_CELL, CellStatus, ExperimentStatus
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)

ROUNDS_MAX: Final = 10
"""So many passes are made for one experiment in turn, before the others have theirs."""
_PASSES: Final = (LimitExceeded, Conflict, TransientError, ServiceUnavailable, InsufficientStorage)
"""What passes by itself, or was done by another scheduler: it is tried again, and the cell says what it waits for."""
_FAULT: Final = _("The platform could not carry out this step; the scheduler's log says why")


class _Overtaken(Exception):
    """Somebody else has moved the cell, or the experiment, on: what was to be done is undone."""


def experiments_due() -> QuerySet[Experiment]:
    """Experiments under way, and those that have ended and left an endpoint all the same."""
    left = ExperimentCell.objects.filter(endpoint__isnull=False, status__in=TERMINAL_CELL)
    return Experiment.objects.filter(
        Q(status__in=(ExperimentStatus.IN_PROGRESS, ExperimentStatus.STOPPING))
        | Q(pk__in=left.values("experiment"))
    )


def experiments_step() -> int:
    """Carries every experiment on as far as it goes now; how many things were done."""
    n_done = 0
    for experiment_id in list(experiments_due().order_by("pk").values_list("pk", flat=True)):
        try:
            n_done += experiment_step(experiment_id=experiment_id)
        except Exception as error:
            if isinstance(error, DatabaseFault) and is_outage(error):
                raise
            logger.exception("experiment %d could not be carried on", experiment_id)
    return n_done


def experiment_step(*, experiment_id: int) -> int:
    """Plans and acts until nothing is to be done now; how many things were done."""
    n_done = 0
    with audit_origin(Origin(Face.SCHEDULER)):
        for _round in range(ROUNDS_MAX):
            n_round = _pass(experiment_id)
            n_done += n_round
            if not n_round:
                break
    return n_done


def experiment_waits(*, experiment_id: int) -> None:
    """Writes down why cells that have just been made cannot begin, and skips those to be skipped; begins nothing."""
    seen = experiment_seen(experiment_id=experiment_id)
    if seen is None:
        return
    steps = _Steps(seen)
    waiting: dict[str, list[int]] = defaultdict(list)
    for action in experiment_plan(seen.asked, seen.cells, seen.served):
        if isinstance(action, Wait):
            waiting[action.reason].append(action.cell_id)
        elif isinstance(action, End) and action.status == CellStatus.SKIPPED:
            steps.carry_out(action)
    for reason, cell_ids in waiting.items():
        ExperimentCell.objects.filter(pk__in=cell_ids).update(waiting=reason)


def _pass(experiment_id: int) -> int:
    seen = experiment_seen(experiment_id=experiment_id)
    if seen is None:
        return 0
    steps = _Steps(seen)
    n_done = 0
    for action in experiment_plan(seen.asked, seen.cells, seen.served):
        n_done += steps.carry_out(action)
        if steps.looked_away:
            # The copy of a model may have taken long, and somebody may have asked for a stop meanwhile.
            return n_done or 1
    return n_done


class _Steps:
    """The actions of one pass."""

    def __init__(self, seen: Seen) -> None:
        self.looked_away = False
        self._seen = seen
        self._experiment = seen.experiment
        self._creator = seen.creator
        # What is torn down is so whatever the creator may by now.
        self._janitor = replace(seen.creator, role=Role.EDITOR)

    def carry_out(self, action: Action) -> bool:
        """Whether anything was done. What is refused for good fails the cell; what passes is waited for."""
        if isinstance(action, Finish):
            return self._finish(action.status)
        row = self._seen.rows[action.cell_id]
        try:
            return self._act(action, row)
        except _Overtaken:
            return False
        except _PASSES as error:
            return self._wait(row, _("waits: {reason}", reason=_reason(error)))
        except PlatformError as error:
            return self._fail(row, error.message)
        except Exception as error:
            if isinstance(error, DatabaseFault) and is_outage(error):
                raise
            fault = outage_of(error)
            if isinstance(fault, _PASSES):
                return self._wait(row, _("waits: {reason}", reason=_reason(fault)))
            logger.exception("cell %s of experiment %s", row["position"], self._experiment.name)
            return self._fail(row, _FAULT)

    def _act(self, action: Action, row: Row) -> bool:
        match action:
            case Train():
                return self._train(row)
            case Deploy():
                return self._deploy(row)
            case Evaluate():
                return self._evaluate(row)
            case End(_cell_id, status, reason):
                return self._end(row, status, reason)
            case StopJob():
                return self._torn_down(training_job_stop, row["training_job__name"])
            case StopEvaluation():
                return self._torn_down(evaluation_stop, row["evaluation__name"])
            case DeleteEndpoint():
                return self._torn_down(endpoint_delete, row["endpoint__name"])
            case Wait(_cell_id, reason):
                return self._wait(row, reason)
        raise AssertionError(action)

    # ---- beginning

    def _train(self, row: Row) -> bool:
        """The job and the cell's beginning are one commit; the cells that share the job get it too."""
        with transaction.atomic():
            self._goes_on()
            self._data_is_there(train=row["training_job_id"] is None)
            job_id = row["training_job_id"] or self._training_job(row).pk
            self._become(row, CellStatus.TRAINING, training_job_id=job_id, started_at=clock.now())
            alike = self._experiment.cells.filter(
                training_key=row["training_key"], status=CellStatus.PENDING, training_job=None
            )
            alike.update(training_job_id=job_id)
        return True

    def _training_job(self, row: Row) -> TrainingJob:
        experiment = self._experiment
        cell = ExperimentCell.objects.only("hyperparameters").get(pk=row["id"])
        return training_job_create(
            actor=self._creator,
            name=name_free(TrainingJob, experiment, row, with_type=False),
            algorithm=experiment.algorithm,
            hyperparameters=cell.hyperparameters,
            channels={
                "train": ChannelRequest(dataset=experiment.train_reference),
                "test": ChannelRequest(dataset=experiment.test_reference),
            },
            instance_type=experiment.training_instance_type,
            tags=experiment.tags,
        )

    def _deploy(self, row: Row) -> bool:
        """First the model, whose copy may take long and which is found again; then endpoint and cell in one commit."""
        if row["status"] == CellStatus.TRAINING:
            self._become(row, CellStatus.DEPLOYING)
        model = self._model(row)
        with transaction.atomic():
            self._goes_on()
            endpoint = endpoint_create(
                actor=self._creator,
                name=name_free(Endpoint, self._experiment, row),
                variants=[VariantRequest(model=model.name, instance_type=row["instance_type"])],
                tags=self._experiment.tags,
            )
            undeployed = self._rows(row).filter(status=CellStatus.DEPLOYING, endpoint=None, model=None)
            uids = ExperimentCell.objects.values_list("endpoint_uids", flat=True).get(pk=row["id"])
            changes = {
                "endpoint": endpoint,
                "endpoint_uids": [*uids, endpoint.uid],
                "model": model,
                "waiting": "",
            }
            if not undeployed.update(**changes):
                raise _Overtaken
        return True

    def _model(self, row: Row) -> Model:
        """The experiment's model of the job: of several cells, and of one that was interrupted, the same."""
        made_of = Model.objects.filter(training_job_id=row["training_job_id"])
        mine = made_of.filter(
            Q(name=row["training_job__name"]) | Q(experiment_cells__experiment=self._experiment)
        )
        found = mine.order_by("pk").first()
        if found is not None:
            return found
        name = row["training_job__name"]
        if Model.objects.filter(project=self._experiment.project, name=name).exists():
            name = name_free(Model, self._experiment, row, with_type=False)
        made = model_create(actor=self._creator, name=name, training_job=row["training_job__name"])
        self.looked_away = True
        return made

    def _evaluate(self, row: Row) -> bool:
        experiment = self._experiment
        with transaction.atomic():
            self._goes_on()
            self._data_is_there(train=False)
            evaluation = evaluation_create(
                actor=self._creator,
                name=name_free(Evaluation, experiment, row),
                endpoint=row["endpoint__name"],
                dataset=experiment.test_reference,
                k_max=experiment.k_max,
                batches=experiment.batches,
                single_requests=experiment.single_requests,
                tags=experiment.tags,
            )
            self._become(row, CellStatus.EVALUATING, evaluation=evaluation)
        return True

    # ---- ending

    def _torn_down(self, service: Callable[..., object], name: str) -> bool:
        """What has ended by itself, or is gone, needs no more."""
        with contextlib.suppress(NotFound, Conflict):
            service(actor=self._janitor, name=name)
            return True
        return False

    def _end(self, row: Row, status: CellStatus, reason: str) -> bool:
        self._become(row, status, failure=reason, ended_at=clock.now())
        logger.info("experiment %s: cell %d is %s", self._experiment.name, row["position"], status.value)
        return True

    def _fail(self, row: Row, reason: str) -> bool:
        try:
            return self._end(row, CellStatus.FAILED, reason)
        except _Overtaken:
            return False

    def _finish(self, status: ExperimentStatus) -> bool:
        """Not where another scheduler did so first and somebody has resumed the experiment since."""
        left = self._experiment.cells.filter(~Q(status__in=TERMINAL_CELL) | Q(endpoint__isnull=False))
        same = Experiment.objects.filter(~Exists(left), pk=self._experiment.pk)
        finished = bool(status_update(same, to=status, ended_at=clock.now()))
        if finished:
            logger.info("experiment %s is %s", self._experiment.name, status.value)
        return finished

    # ---- rows

    def _wait(self, row: Row, reason: str) -> bool:
        if reason != row["waiting"]:
            self._rows(row).exclude(status__in=TERMINAL_CELL).update(waiting=reason)
            row["waiting"] = reason
        return False

    def _goes_on(self) -> None:
        """Inside a transaction: nobody stops the experiment before it is committed. Raises _Overtaken: somebody has."""
        same = Experiment.objects.select_for_update(of=("self",)).filter(pk=self._experiment.pk)
        if not same.filter(status=ExperimentStatus.IN_PROGRESS).values_list("pk").first():
            raise _Overtaken

    def _data_is_there(self, *, train: bool) -> None:
        """Raises NotFound for a dataset that was deleted: one that has its name by now is other data.

        Args:
            train: Whether the data for training is needed too.
        """
        experiment = self._experiment
        needed = {experiment.test_reference: experiment.test_version_id}
        if train:
            needed = {experiment.train_reference: experiment.train_version_id} | needed
        for reference, version_id in needed.items():
            if version_id is None:
                raise NotFound(_("Dataset {name} was deleted before it was used", name=reference))

    def _become(self, row: Row, status: CellStatus, **values: Any) -> None:
        """Raises _Overtaken: the cell is no longer as it was seen."""
        if not status_update(self._rows(row).filter(status=row["status"]), to=status, waiting="", **values):
            raise _Overtaken
        row["status"], row["waiting"] = status, ""

    def _rows(self, row: Row) -> QuerySet[ExperimentCell]:
        return ExperimentCell.objects.filter(pk=row["id"], attempt=row["attempt"])


def _reason(error: PlatformError) -> str:
    """The complaint itself where there is one, as short as it can be."""
    return error.errors[0].message if error.errors else error.message
