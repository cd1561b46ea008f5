"""Which failures `make test` looks at a second time: only those that can be a matter of time, and only a few. That
places with a name in the schedule are there.
"""

from __future__ import annotations

import pytest

from tests.live import ROOT
from tests.schedule import LIVE_PLACES, LONG_PLACES, WAITING_PLACES, perhaps_late

WAITS = "tests/faults/test_workers_killed.py::test_a"
LIVE = "tests/journeys/test_street.py::test_b"
COMPUTES = "tests/jobs/algorithms/knn/test_contract.py::test_c"


@pytest.mark.parametrize(
    ("failed", "is_late"),
    [
        ([WAITS], True),
        ([WAITS, LIVE], True),
        ([COMPUTES], False),
        ([WAITS, COMPUTES], False),
        ([WAITS] * 6, False),
        ([], False),
    ],
)
def test_what_is_run_again(failed: list[str], is_late: bool) -> None:
    assert perhaps_late(failed) is is_late


@pytest.mark.parametrize("place", [*LIVE_PLACES, *WAITING_PLACES, *LONG_PLACES])
def test_a_place_of_the_schedule_exists(place: str) -> None:
    assert (ROOT / place).exists()
