"""Carries a tuning job on: looks at what is, plans (`jobs.tuning.plan`), and acts through the services.

A trial's row, with what it tries and the name of its job, is written before the job is made; the job and its trial's
beginning are one commit. So a pass that is killed, or made twice at a time, neither tries anything twice nor loses it:
the next one finds all that is there. Whoever drives takes a lease on the tuning job's row first, so that two seldom do
the same work; that no harm comes of it otherwise, the conditions of the updates see to.

Things are begun in the name of who created the tuning job, as long as they may edit, and stopped whatever they may.
Called by the scheduler once a second (`jobs.sweeping`), and by workers whenever a trial's job has ended
(`tuning_driver`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from django.db import Error as DatabaseFault
from django.db.models import QuerySet

from jobs.models import TuningJob, TuningStrategy
from jobs.services.tuning_actions import TuningActions
from jobs.services.tuning_lease import tuning_lease_renew, tuning_lease_take, tuning_leased
from jobs.services.tuning_seen import Seen, running_told, tuning_seen
from jobs.tuning.asker import Asker, AskerFault, asker_here
from jobs.tuning.plan import Action, End, tuning_plan
from mlplatform.core.audit.record import Face, Origin, audit_origin
from mlplatform.core.health.outages import is_outage
from mlplatform.core.nodes import queues_served
from mlplatform.core.status import ACTIVE_TUNING
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)

ROUNDS_MAX: Final = 20
"""So many passes are made for one tuning job in turn, before the others have theirs."""


def tuning_jobs_due() -> QuerySet[TuningJob]:
    """Tuning jobs under way."""
    return TuningJob.objects.filter(status__in=ACTIVE_TUNING)


def tuning_jobs_step() -> int:
    """Carries every tuning job on as far as it goes now; how many things were done."""
    n_done = 0
    for tuning_job_id in list(tuning_jobs_due().order_by("pk").values_list("pk", flat=True)):
        try:
            n_done += tuning_job_step(tuning_job_id=tuning_job_id) or 0
        except Exception as error:
            if isinstance(error, DatabaseFault) and is_outage(error):
                raise
            logger.exception("tuning job %d could not be carried on", tuning_job_id)
    return n_done


def tuning_job_step(*, tuning_job_id: int, asker: Asker | None = None, look_first: bool = True) -> int | None:
    """Plans and acts until nothing is to be done now; how many things were done, None while somebody else is at it.

    Args:
        look_first: Looks without the lease whether anything is to be done; False for who knows that there is.
    """
    asker = asker or asker_here()
    with audit_origin(Origin(Face.SCHEDULER)):
        if look_first and not _anything_to_do(tuning_job_id, asker):
            return 0
        owner = tuning_lease_take(tuning_job_id)
        if owner is None:
            return None
        n_done = 0
        try:
            for _round in range(ROUNDS_MAX):
                n_round, is_settled = _pass(tuning_job_id, asker, owner)
                n_done += n_round
                if not n_round or is_settled:
                    break
        finally:
            tuning_leased(tuning_job_id, owner).update(lease_owner="", lease_expires_at=None)
    return n_done


def _anything_to_do(tuning_job_id: int, asker: Asker) -> bool:
    """A look without the lease, which most are."""
    seen = _judged(tuning_seen(tuning_job_id=tuning_job_id), asker)
    if seen is None:
        return False
    plan = tuning_plan(seen.asked, seen.trials)
    if not plan:
        _waits_for_workers(seen)
    return bool(plan)


def _pass(tuning_job_id: int, asker: Asker, owner: str) -> tuple[int, bool]:
    """How many things were done, and whether another look can be spared: all that was planned has become jobs, of which
    the next one to end brings us back.
    """
    seen = _judged(tuning_seen(tuning_job_id=tuning_job_id), asker)
    if seen is None or not tuning_lease_renew(tuning_job_id, owner):
        return 0, True
    plan = tuning_plan(seen.asked, seen.trials)
    actions = TuningActions(seen, asker, owner)
    n_done = _carried_out(plan, actions)
    ends = [action for action in plan if isinstance(action, End)]
    if n_done == len(ends) == len(plan) > 0 and not seen.judges:
        # What comes next depends on these ends alone, and need not wait for another look.
        seen = seen.after(ends)
        plan = tuning_plan(seen.asked, seen.trials)
        actions = TuningActions(seen, asker, owner)
        n_done += _carried_out(plan, actions)
    return n_done, actions.n_begun == len(plan) > 0


def _carried_out(plan: Sequence[Action], actions: TuningActions) -> int:
    return sum(actions.carry_out(action) for action in plan)


def _judged(seen: Seen | None, asker: Asker) -> Seen | None:
    """With Hyperband's verdicts on the trials that run."""
    if seen is None or seen.job.strategy != TuningStrategy.HYPERBAND:
        return seen
    running = running_told(seen)
    if not running:
        return seen
    try:
        stops = asker.stops(study=seen.job.uid, spec=seen.spec, history=seen.history, running=running)
    except AskerFault as error:
        logger.warning("tuning job %s: nobody judges its trials now: %s", seen.job.name, error)
        return seen
    trials = tuple(replace(trial, hyperband_stops=trial.number in stops) for trial in seen.trials)
    return replace(seen, trials=trials)


def _waits_for_workers(seen: Seen) -> None:
    """Says of a tuning job whose jobs nobody takes why nothing happens."""
    queues = {
        row["training_job__queue"]
        for row in seen.rows.values()
        if row["training_job_id"] is not None and row["training_job__status"] == "InProgress"
    }
    unserved = sorted(queues - queues_served())
    said = (
        _(
            "waits: no worker serves queue {queue}; start one with .venv/bin/python manage.py worker --queues {queue}",
            queue=unserved[0],
        )
        if unserved
        else ""
    )
    if said != seen.job.waiting and (said or seen.rows):
        tuning_jobs_due().filter(pk=seen.job.pk).update(waiting=said)
