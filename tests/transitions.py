"""Every status that anybody writes, as the database itself sees it: triggers, so that no writer can be overlooked.

Beside the changes of status it notes every write to a row that has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

from django.db import connection
from django.db.models import Model

from endpoints.models import (
    AsyncInvocation,
    Endpoint,
    Evaluation,
    Experiment,
    ExperimentCell,
    Replica,
    TableRun,
    TransformJob,
)
from jobs.models import TrainingJob, TuningJob, TuningTrial
from mlplatform.core.status import (
    TRANSITIONS,
    AsyncInvocationStatus,
    CellStatus,
    EndpointStatus,
    EvaluationStatus,
    ExperimentStatus,
    ReplicaStatus,
    TableRunStatus,
    TrainingJobStatus,
    TransformJobStatus,
    TrialStatus,
    TuningJobStatus,
)
from tests.databases import trigger_make, triggers_drop

WATCHED: dict[type[Model], type[StrEnum]] = {
    TrainingJob: TrainingJobStatus,
    Endpoint: EndpointStatus,
    Replica: ReplicaStatus,
    TableRun: TableRunStatus,
    Evaluation: EvaluationStatus,
    Experiment: ExperimentStatus,
    ExperimentCell: CellStatus,
    TuningJob: TuningJobStatus,
    TuningTrial: TrialStatus,
    TransformJob: TransformJobStatus,
    AsyncInvocation: AsyncInvocationStatus,
}
LASTING: dict[type[Model], tuple[str, ...]] = {
    TrainingJob: (),
    TableRun: (),
    Evaluation: ("endpoint_id", "model_id", "dataset_version_id"),
}
"""Their rows stay when they have ended, and then never change, but for columns that forget what was deleted."""


class Change(NamedTuple):
    table: str
    row_id: int
    before: str
    after: str


class Transitions:
    """What was written since the recording began, oldest first."""

    def seen(self) -> list[Change]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tbl, row_id, was, became FROM status_seen ORDER BY id")
            return [Change(*row) for row in cursor.fetchall()]

    def forget(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM status_seen")

    def illegal(self) -> list[Change]:
        """Changes that the tables of `mlplatform.core.status` do not have; none, if all is well."""
        return [change for change in self.seen() if not _is_legal(change)]


@contextmanager
def transitions_recorded() -> Iterator[Transitions]:
    """Records from all connections and processes until the end of the block."""
    number = "INTEGER" if connection.vendor == "sqlite" else "BIGSERIAL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE status_seen (id {number} PRIMARY KEY, tbl TEXT, row_id BIGINT, was TEXT, became TEXT)"
        )
    try:
        _triggers_make()
        yield Transitions()
    finally:
        kinds = ("begins", "moves", "touched")
        triggers_drop([f"{kind}_{model._meta.db_table}" for model in WATCHED for kind in kinds])
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE status_seen")


def _triggers_make() -> None:
    for model, statuses in WATCHED.items():
        table = model._meta.db_table
        note = f"INSERT INTO status_seen (tbl, row_id, was, became) VALUES ('{table}', NEW.id, "
        trigger_make(f"begins_{table}", on="AFTER INSERT", table=table, does=f"{note} '', NEW.status)")
        trigger_make(
            f"moves_{table}",
            on="AFTER UPDATE OF status",
            table=table,
            when="OLD.status <> NEW.status",
            does=f"{note} OLD.status, NEW.status)",
        )
        if model in LASTING:
            ended = ", ".join(f"'{status}'" for status in statuses if not TRANSITIONS[statuses][status])
            kept = ", ".join(
                field.column for field in model._meta.concrete_fields if field.column not in LASTING[model]
            )
            trigger_make(
                f"touched_{table}",
                on=f"AFTER UPDATE OF {kept}",
                table=table,
                when=f"OLD.status IN ({ended})",
                does=f"{note} OLD.status, 'touched')",
            )


def _is_legal(change: Change) -> bool:
    statuses = next(statuses for model, statuses in WATCHED.items() if model._meta.db_table == change.table)
    if change.after not in set(statuses):
        return False
    if not change.before:
        return change.after == next(iter(statuses))
    return statuses(change.after) in TRANSITIONS[statuses][statuses(change.before)]
