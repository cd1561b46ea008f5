"""The declaration of `ensemble`: models of several algorithms, trained in one job and answering as one.

The members' hyperparameters are made from their own declarations (`members.py`). Imports nothing heavy.
"""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import AlgorithmSpec, Channel
from jobs.algorithms.ensemble.members import (
    CLASSIFIER,
    KINDS,
    REGRESSOR,
    kind_hyperparameters,
    named_hyperparameters,
)
from jobs.algorithms.ensemble.rules import BLENDS, predicts, rules, suggests
from jobs.algorithms.hyperparameters import Categorical, Integer, Text
from jobs.algorithms.quality_log import TEST_METRICS, quality_metrics
from mlplatform.core.text import text as _

_MAIN: Final = (
    Text(
        name="members",
        help=_(
            "Which models there are, separated by commas: xgboost, catboost, linear-learner, random-forest, knn. A "
            "kind may come several times, with names: xgboost, deep=xgboost. Their hyperparameters are named after the "
            "kind or the member: xgboost__eta, deep__eta."
        ),
        default="xgboost,catboost",
    ),
    Categorical(
        name="task",
        help=_("regressor: a number. classifier: which of several labels; labels may be any numbers."),
        required=True,
        example=REGRESSOR,
        values=(REGRESSOR, CLASSIFIER),
    ),
    Integer(
        name="n_folds",
        help=_(
            "Parts of the rows for cross-validation: each is predicted by models of the other parts. 0 does without."
        ),
        default=5,
        min=0,
        max=100,
    ),
    Categorical(
        name="blend",
        help=_(
            "How the members' answers become one. mean: all count the same. weighted: by weights, or by the inverse of "
            "the cross-validated error. stacked: a linear model learned on cross-validated predictions."
        ),
        default="mean",
        values=BLENDS,
        tunable=True,
    ),
    Text(
        name="weights",
        help=_("A number for each member, separated by commas; without it, weights follow from the errors."),
        relevant_if={"blend": ("weighted",)},
    ),
    Integer(
        name="seed",
        help=_("Seed of the folds and of all members; the same seed gives the same model."),
        default=0,
        min=0,
        max=2**31 - 1,
    ),
    Text(
        name="_tuning_objective_metric",
        help=_("The metric of the tuning job that started this job."),
        default="",
        hidden=True,
    ),
)

_RMSE: Final = ("rmse", "Minimize", _("Root of the mean squared error (regressor)."))
_ACCURACY: Final = ("accuracy", "Maximize", _("Share of the rows whose label is predicted (classifier)."))
_SCORES: Final = (
    _RMSE,
    ("mse", "Minimize", _("Mean squared error (regressor).")),
    _ACCURACY,
    ("macro_f_1.000", "Maximize", _("Mean over the labels of the F1 score (classifier).")),
)

SPEC: Final = AlgorithmSpec(
    name="ensemble",
    title=_("Ensemble"),
    summary=_(
        "Several models of other algorithms, trained in one job on data read once, cross-validated and blended to one "
        "answer. Usually better than the best of them."
    ),
    engine="jobs.algorithms.ensemble.engine:Ensemble",
    hyperparameters=(*_MAIN, *kind_hyperparameters()),
    further=named_hyperparameters,
    channels=(
        Channel(name="train", help=_("The rows to learn from."), required=True),
        Channel(
            name="validation", help=_("Rows to score the finished model with; the scores are in the log.")
        ),
        Channel(name="test", help=_("Rows to score the finished model with; the scores are in the log.")),
    ),
    metrics=(
        *quality_metrics(("validation", "cv"), _SCORES),
        *quality_metrics((f"cv:{kind}" for kind in KINDS), (_RMSE, _ACCURACY)),
        *TEST_METRICS,
    ),
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=("application/json", "application/jsonlines"),
    rules=rules,
    predicts=predicts,
    suggests=suggests,
)
