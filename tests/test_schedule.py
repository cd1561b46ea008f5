"""Which failures `make test` looks at a second time: only those that can be a matter of time, and only a few."""

from __future__ import annotations

import pytest

from tests.schedule import perhaps_late

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
