"""Which hyperparameters matter, by Optuna's evaluators. Imported in the process `python -m jobs.tuning` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import optuna
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import TrialState, create_trial

from jobs.tuning.ranges import Range
from jobs.tuning.space import distributions_of, internal_of
from jobs.tuning.studies import direction_of
from mlplatform.core.text import text as _

TRIALS_NEEDED: Final = 4
FANOVA_TRIALS_MAX: Final = 1000
"""fANOVA's forest takes minutes for more; PED-ANOVA is linear."""


def importance_of(
    *, ranges: Sequence[Range], direction: str, trials: Sequence[Mapping[str, Any]], seed: int
) -> tuple[dict[str, float], str, str]:
    """Shares by hyperparameter, largest first, which add up to 1; whose measure it is; why there are none.

    Args:
        trials: {"parameters", "value"}; those outside the ranges are left out.
    """
    told = [(internal_of(ranges, dict(trial["parameters"])), float(trial["value"])) for trial in trials]
    inside = [(internal, value) for internal, value in told if internal is not None]
    if len(inside) < TRIALS_NEEDED:
        reason = _(
            "trials with a value: {n}; importance needs {needed} or more", n=len(inside), needed=TRIALS_NEEDED
        )
        return {}, "", reason
    if len({value for _internal, value in inside}) == 1:
        return {}, "", _("all {n} trials have the same value, so that nothing matters", n=len(inside))
    distributions = distributions_of(ranges)
    study = optuna.create_study(direction=direction_of(direction))
    for internal, value in inside:
        study.add_trial(
            create_trial(state=TrialState.COMPLETE, params=internal, distributions=distributions, value=value)
        )
    name, evaluator = _evaluator(len(inside), seed)
    return dict(get_param_importances(study, evaluator=evaluator)), name, ""


def _evaluator(n_trials: int, seed: int) -> tuple[str, BaseImportanceEvaluator]:
    if n_trials > FANOVA_TRIALS_MAX:
        return "PED-ANOVA", PedAnovaImportanceEvaluator()
    return "fANOVA", FanovaImportanceEvaluator(seed=seed % 2**32)
