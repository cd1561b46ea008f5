"""How long a running job may still take."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.models import TrainingJob
from mlplatform.core import clock
from mlplatform.core.status import TrainingJobStatus
from mlplatform.web.progress import remaining_s


def job(*reports: tuple[float, float], **changes: Any) -> TrainingJob:
    """A job that reported so many seconds ago that so much was done."""
    now_ms = int(clock.now().timestamp() * 1000)
    recent = [[now_ms - int(1000 * ago_s), fraction] for ago_s, fraction in reports]
    return TrainingJob(progress={"fraction": reports[-1][1], "recent": recent} if reports else {}, **changes)


STEADY = ((20, 0.10), (10, 0.20), (0, 0.30))


def test_ten_percent_in_ten_seconds_leave_seventy_seconds_for_seventy_percent() -> None:
    assert remaining_s(job(*STEADY)) == pytest.approx(70, abs=1)


def test_only_the_present_speed_counts_and_the_time_since_the_last_report() -> None:
    assert remaining_s(job((25, 0.30), (15, 0.35), (5, 0.40))) == pytest.approx(115, abs=1)


def test_a_job_that_is_late_is_never_done_before_now() -> None:
    assert remaining_s(job((300, 0.80), (290, 0.85), (280, 0.90))) == 0


@pytest.mark.parametrize(
    "reports",
    [
        (),
        ((60, 0.02),),
        ((10, 0.10), (0, 0.30)),
        ((2, 0.10), (1, 0.20), (0, 0.30)),
        ((20, 0.01), (10, 0.05), (0, 0.09)),
        ((20, 0.50), (10, 0.50), (0, 0.50)),
        ((20, 0.50), (10, 0.60), (0, 0.40)),
        ((20, 0.50), (10, 0.60), (0, 1.00)),
    ],
)
def test_nothing_is_guessed_from_too_little(reports: tuple[tuple[float, float], ...]) -> None:
    assert remaining_s(job(*reports)) is None


def test_nothing_is_left_of_a_job_that_ended() -> None:
    assert remaining_s(job(*STEADY, status=TrainingJobStatus.COMPLETED)) is None
