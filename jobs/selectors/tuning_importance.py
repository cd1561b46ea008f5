"""Which hyperparameters of a tuning job matter, by Optuna's evaluators in a process of its own, once per number of
trials with a value.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from jobs.models import TuningJob
from jobs.tuning.asker import AskerFault, importance_ask
from mlplatform.core.text import from_json
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
TRIALS_NEEDED: Final = 4
_KEPT_MAX: Final = 100
_lock = Lock()


@dataclass(frozen=True)
class Importance:
    """`values` are shares by hyperparameter, largest first, which add up to 1; empty where `reason` says why not.

    Attributes:
        evaluator: Whose measure it is: `fANOVA`, or `PED-ANOVA` where there are very many trials.
        n_trials: Of how many trials.
    """

    values: dict[str, float]
    evaluator: str = ""
    n_trials: int = 0
    reason: str = ""


_kept: OrderedDict[tuple[int, int], Importance] = OrderedDict()


def tuning_importance(*, tuning_job: TuningJob) -> dict[str, float]:
    """Each hyperparameter's share in how the objective varies, largest first; empty where it cannot be told."""
    return tuning_importance_told(tuning_job=tuning_job).values


def tuning_importance_told(*, tuning_job: TuningJob) -> Importance:
    """The same with why it cannot be told. Kept by the number of trials with a value, as it takes a second or more."""
    n_trials = tuning_job.trials.filter(value__isnull=False).count()
    if n_trials < TRIALS_NEEDED:
        reason = _(
            "trials with a value: {n}; importance needs {needed} or more", n=n_trials, needed=TRIALS_NEEDED
        )
        return Importance({}, n_trials=n_trials, reason=reason)
    key = (tuning_job.pk, n_trials)
    with _lock:
        if key not in _kept:
            found = _asked(tuning_job)
            if found is None:
                reason = _("Importance could not be computed; the web process's log says why")
                return Importance({}, n_trials=n_trials, reason=reason)
            _kept[key] = found
            while len(_kept) > _KEPT_MAX:
                _kept.popitem(last=False)
        return _kept[key]


def _asked(tuning_job: TuningJob) -> Importance | None:
    trials = list(tuning_job.trials.filter(value__isnull=False).values_list("parameters", "value"))
    request: dict[str, Any] = {
        "ranges": tuning_job.ranges,
        "direction": tuning_job.objective_type,
        "trials": [{"parameters": parameters, "value": value} for parameters, value in trials],
        "seed": tuning_job.random_seed,
    }
    try:
        answer = importance_ask(request)
    except AskerFault:
        logger.exception("importance of tuning job %s", tuning_job.pk)
        return None
    return Importance(
        dict(answer["values"]), answer["evaluator"], len(trials), from_json(answer["reason"]) or ""
    )
