"""The tables of legal transitions are whole, and nothing but `status_update`, which asks them, writes a status."""

from __future__ import annotations

import ast
import itertools
from enum import StrEnum
from pathlib import Path

import pytest

from jobs.models import TrainingJob
from mlplatform.core.env import PROJECT_ROOT
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
    origins,
)
from mlplatform.core.transitions import status_update
from tests.jobs.training.cast import cast_make, job_make
from tests.transitions import WATCHED, transitions_recorded

LAST: dict[type[StrEnum], set[str]] = {
    TrainingJobStatus: {"Completed", "Failed", "Stopped"},
    EndpointStatus: {"Deleting"},
    ReplicaStatus: {"Gone"},
    TableRunStatus: {"Completed", "Failed"},
    EvaluationStatus: {"Completed", "Failed", "Stopped"},
    ExperimentStatus: set(),
    CellStatus: {"Completed"},
    TuningJobStatus: {"Completed", "Failed", "Stopped"},
    TrialStatus: {"Completed", "EarlyStopped", "NoMetric", "Failed", "Stopped"},
    TransformJobStatus: {"Completed", "Failed", "Stopped"},
    AsyncInvocationStatus: {"Completed", "Failed"},
}
ROOMS = ("mlplatform", "jobs", "endpoints", "monitoring")
WRITERS = {"update", "update_or_create", "bulk_update", "get_or_create"}


@pytest.mark.parametrize("statuses", LAST, ids=lambda statuses: statuses.__name__)
def test_every_status_is_in_its_table_and_can_be_reached_and_left_unless_it_is_the_last(
    statuses: type[StrEnum],
) -> None:
    table = TRANSITIONS[statuses]
    first = next(iter(statuses))
    begun_later = {EndpointStatus.UPDATING}  # reached from InService only
    assert set(table) == set(statuses)
    assert {status for following in table.values() for status in following} | {first} == set(statuses)
    assert {status for status in statuses if not table[status]} == LAST[statuses]
    assert all(origins(status) for status in statuses if status != first or status in begun_later)


def test_the_recorder_watches_every_table_of_transitions() -> None:
    assert set(WATCHED.values()) == set(TRANSITIONS)


def test_a_row_becomes_only_what_the_table_allows(transactional_db: None) -> None:
    job = job_make(cast_make().alice)
    same = TrainingJob.objects.filter(pk=job.pk)
    with transitions_recorded() as transitions:
        for before, after in itertools.product(TrainingJobStatus, TrainingJobStatus):
            same.update(status=before)
            transitions.forget()
            legal = after in TRANSITIONS[TrainingJobStatus][before]
            assert status_update(same, to=after) == legal
            assert same.get().status == (after if legal else before)
            assert not transitions.illegal()


def test_a_write_past_the_table_and_one_to_a_job_that_has_ended_are_seen_by_the_recorder(
    transactional_db: None,
) -> None:
    job = job_make(cast_make().alice)
    same = TrainingJob.objects.filter(pk=job.pk)
    with transitions_recorded() as transitions:
        assert status_update(same, to=TrainingJobStatus.COMPLETED)
        assert not transitions.illegal()
        same.update(progress={"fraction": 0.5})
        same.update(status=TrainingJobStatus.IN_PROGRESS)
        assert sorted(change.after for change in transitions.illegal()) == [
            "InProgress",
            "touched",
            "touched",
        ]


def test_only_status_update_writes_a_status() -> None:
    writers = [
        f"{path.relative_to(PROJECT_ROOT)}:{call.lineno}"
        for room in ROOMS
        for path in sorted((PROJECT_ROOT / room).rglob("*.py"))
        for call in _calls(path)
        if _writes_a_status(call)
    ]
    assert [writer.partition(":")[0] for writer in writers] == ["mlplatform/core/transitions.py"], writers


def _calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _writes_a_status(call: ast.Call) -> bool:
    """`rows.update(status=…)` and `row.save(update_fields=["status"])`, however they are spelt."""
    if not isinstance(call.func, ast.Attribute):
        return False
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if call.func.attr in WRITERS and "status" in named:
        return True
    return call.func.attr in {"save", "bulk_update"} and "'status'" in ast.dump(call)
