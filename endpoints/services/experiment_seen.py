"""An experiment as it is, in the terms of its plan: a query for its cells, and one for who serves which queue.

Called by `experiment_steps` only, once for every pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from endpoints.experiment_plan import (
    Asked,
    SeenCell,
    SeenEndpoint,
    SeenEvaluation,
    SeenJob,
    Served,
)
from endpoints.models import Endpoint, Experiment, ExperimentCell, Unserved
from jobs.instance_types import instance_type_list
from jobs.models import TrainingJob
from mlplatform.core.models import Membership, NodeKind, Role
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor
from mlplatform.core.status import (
    TERMINAL_CELL,
    CellStatus,
    EndpointStatus,
    EvaluationStatus,
    ExperimentStatus,
    TrainingJobStatus,
)
from mlplatform.core.text import text as _

_COLUMNS = (
    "id",
    "position",
    "configuration",
    "sample_size",
    "instance_type",
    "training_key",
    "status",
    "attempt",
    "waiting",
    "model_id",
    "training_job_id",
    "training_job__name",
    "training_job__status",
    "training_job__failure",
    "endpoint_id",
    "endpoint__name",
    "endpoint__status",
    "endpoint__failure",
    "evaluation_id",
    "evaluation__name",
    "evaluation__status",
    "evaluation__failure",
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What a pass begins with: every cell but those that are over. `rows` has the columns of each that carrying out
    needs, by its id; it is kept up.

    Attributes:
        creator: In whose name things are begun; with their own role, which may be too low by now.
    """

    experiment: Experiment
    asked: Asked
    cells: tuple[SeenCell, ...]
    served: Served
    rows: Mapping[int, Row]
    creator: Actor


def experiment_seen(*, experiment_id: int) -> Seen | None:
    """None where the experiment is no more."""
    experiment = Experiment.objects.select_related("project", "created_by").filter(pk=experiment_id).first()
    if experiment is None:
        return None
    over = Q(status__in=TERMINAL_CELL, endpoint=None)
    cells = ExperimentCell.objects.filter(experiment=experiment).exclude(over)
    rows = {row["id"]: row for row in cells.values(*_COLUMNS)}
    queues = {instance_type.name: instance_type.queue for instance_type in instance_type_list()}
    creator, refused = _creator(experiment)
    asked = Asked(
        status=ExperimentStatus(experiment.status),
        parallelism=experiment.parallelism,
        skip_unserved=experiment.unserved == Unserved.SKIP,
        training_type=experiment.training_instance_type,
        training_queue=queues.get(experiment.training_instance_type, ""),
        refused=refused,
    )
    seen = tuple(_cell(row, queues) for row in rows.values())
    served = Served(queues_served(), queues_served(kind=NodeKind.HOST))
    return Seen(experiment, asked, seen, served, rows, creator)


def _cell(row: Row, queues: Mapping[str, str]) -> SeenCell:
    return SeenCell(
        id=row["id"],
        number=row["position"],
        status=CellStatus(row["status"]),
        training_key=row["training_key"],
        instance_type=row["instance_type"],
        queue=queues.get(row["instance_type"], ""),
        job=_job(row),
        deployed=row["model_id"] is not None or row["endpoint_id"] is not None,
        endpoint=_endpoint(row),
        evaluation=_evaluation(row),
    )


def _job(row: Row) -> SeenJob | None:
    if row["training_job_id"] is None:
        return None
    failed = TrainingJob(failure=row["training_job__failure"])
    status = TrainingJobStatus(row["training_job__status"])
    return SeenJob(row["training_job__name"], status, failed.failure_reason)


def _endpoint(row: Row) -> SeenEndpoint | None:
    if row["endpoint_id"] is None:
        return None
    failed = Endpoint(failure=row["endpoint__failure"])
    status = EndpointStatus(row["endpoint__status"])
    return SeenEndpoint(row["endpoint__name"], status, failed.failure_reason)


def _evaluation(row: Row) -> SeenEvaluation | None:
    if row["evaluation_id"] is None:
        return None
    status = EvaluationStatus(row["evaluation__status"])
    return SeenEvaluation(row["evaluation__name"], status, row["evaluation__failure"])


def _creator(experiment: Experiment) -> tuple[Actor, str]:
    """Whoever the experiment runs for, and why nothing may be begun in their name; empty where it may."""
    user, project = experiment.created_by, experiment.project
    membership = Membership.objects.filter(project=project, user=user).first()
    actor = Actor(user=user, project=project, role=Role(membership.role) if membership else Role.VIEWER)
    name = user.get_username()
    if not user.is_active:
        return actor, _(
            "{user}, in whose name this experiment runs, is deactivated; somebody who may edit can resume it",
            user=name,
        )
    if membership is None or not actor.may_edit:
        return actor, _(
            "{user}, in whose name this experiment runs, may no longer edit project {project}; somebody who may can "
            "resume it",
            user=name,
            project=project.name,
        )
    return actor, ""
