"""How long a running job may still take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.models import TrainingJob
from mlplatform.core import clock
from mlplatform.core.status import TrainingJobStatus
from mlplatform.web.progress import remaining_s


def job(**changes: Any) -> TrainingJob:
    started = {"started_at": clock.now() - timedelta(seconds=30), "progress": {"fraction": 0.25}}
    return TrainingJob(**started | changes)


def test_a_quarter_in_thirty_seconds_leaves_a_minute_and_a_half() -> None:
    assert remaining_s(job()) == pytest.approx(90, abs=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"progress": {}},
        {"progress": {"fraction": None}},
        {"progress": {"fraction": 0}},
        {"progress": {"fraction": 1}},
        {"started_at": None},
        {"status": TrainingJobStatus.COMPLETED},
    ],
)
def test_nothing_is_guessed_where_nothing_is_known(changes: dict[str, Any]) -> None:
    assert remaining_s(job(**changes)) is None


def test_nothing_is_guessed_from_the_first_seconds() -> None:
    assert remaining_s(job(started_at=clock.now() - timedelta(seconds=2))) is None
