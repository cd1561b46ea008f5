"""Leases of processes that are gone are taken at once; all others are waited for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.models import TrainingJob
from jobs.services.lifecycle import Lease, LeaseLost, stopped, training_job_claim, training_job_finish
from jobs.services.owners import owner_is_gone, owner_new
from jobs.services.sweeping import sweep_owners
from tests.jobs.training.cast import Cast, job_make

SOMEBODY = "from jobs.services.owners import owner_new; print(owner_new(worker_name='w:1'))"


def _claimed(job: TrainingJob, owner: str) -> Lease:
    lease = training_job_claim(job_id=job.pk, owner=owner)
    assert lease is not None
    return lease


@pytest.fixture(scope="module")
def dead_owner() -> str:
    """An owner whose process has ended."""
    return subprocess.run(
        [sys.executable, "-c", SOMEBODY], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_lease_of_a_process_that_is_gone_is_taken_at_once_and_fenced(cast: Cast, dead_owner: str) -> None:
    job = job_make(cast.alice)
    lease = _claimed(job, dead_owner)
    assert owner_is_gone(owner=dead_owner) and dead_owner.startswith("w:1:")
    assert sweep_owners() == 1
    assert sweep_owners() == 0
    job.refresh_from_db()
    assert (job.secondary_status, job.lease_owner, job.attempt) == ("Pending", "", 1)
    assert "Interrupted" in [event.secondary_status for event in job.events.all()]
    with pytest.raises(LeaseLost):
        training_job_finish(lease=lease, outcome=stopped())


def test_the_lease_of_a_living_process_is_left_alone(cast: Cast) -> None:
    owners = [owner_new(worker_name="w1"), owner_new(worker_name="w1")]
    assert owners[0] != owners[1]
    job = job_make(cast.alice)
    _claimed(job, owners[0])
    assert sweep_owners() == 0
    job.refresh_from_db()
    assert job.lease_owner == owners[0]


@pytest.mark.parametrize("owner", ["", "w1", "w1:abcd", "w1::abcd", "w1:elsewhere.1.2:abcd"])
def test_an_owner_that_says_nothing_of_its_process_is_not_gone(owner: str) -> None:
    assert not owner_is_gone(owner=owner)


def test_a_long_name_still_fits_the_column(cast: Cast) -> None:
    longest = TrainingJob._meta.get_field("lease_owner").max_length
    assert longest is not None and len(owner_new(worker_name="w" * 500)) <= longest
