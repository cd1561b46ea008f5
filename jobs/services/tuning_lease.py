"""The lease on a tuning job's row: whoever drives it has it, so that two seldom do the same work. Called by
`tuning_steps` and `tuning_actions`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Q, QuerySet

from jobs.models import TuningJob
from jobs.services.owners import owner_is_gone, owner_new
from jobs.services.worker_state import worker_state
from mlplatform.core import clock

LEASE_S: Final = 30


def tuning_leased(tuning_job_id: int, owner: str) -> QuerySet[TuningJob]:
    return TuningJob.objects.filter(pk=tuning_job_id, lease_owner=owner)


def tuning_lease_take(tuning_job_id: int) -> str | None:
    """An owner that holds the lease now; None while somebody else does who may be alive."""
    rows = TuningJob.objects.filter(pk=tuning_job_id)
    holder = rows.values_list("lease_owner", flat=True).first() or ""
    now, owner = clock.now(), owner_new(worker_name=worker_state().name)
    free = Q(lease_owner="") | Q(lease_expires_at__lt=now)
    # A time further off than any that is ever set was written by a clock that has been put right since.
    free |= Q(lease_expires_at__gt=now + timedelta(seconds=2 * LEASE_S))
    if holder and owner_is_gone(owner=holder):
        free |= Q(lease_owner=holder)
    taken = rows.filter(free).update(lease_owner=owner, lease_expires_at=now + timedelta(seconds=LEASE_S))
    return owner if taken else None


def tuning_lease_renew(tuning_job_id: int, owner: str) -> bool:
    until = clock.now() + timedelta(seconds=LEASE_S)
    return bool(tuning_leased(tuning_job_id, owner).update(lease_expires_at=until))
