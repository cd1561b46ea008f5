"""The declaration of `catboost`: gradient boosted symmetric trees, with the library's own hyperparameters.

Read by everybody; imports neither numpy nor catboost. The rules between hyperparameters are in `rules.py`.
"""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import AlgorithmSpec, Channel, Metric
from jobs.algorithms.catboost.losses import LOSSES, METRICS, predicts, suggests
from jobs.algorithms.catboost.rules import rules
from jobs.algorithms.hyperparameters import Categorical, Continuous, Integer, Text
from jobs.algorithms.quality_log import TEST_METRICS
from mlplatform.core.text import text as _

_MAIN: Final = (
    Categorical(
        name="loss_function",
        help=_(
            "What is learned. RMSE, MAE: a number. Logloss: which of two labels. MultiClass: which of several. "
            "Labels may be any numbers."
        ),
        default="RMSE",
        values=LOSSES,
    ),
    Integer(
        name="iterations",
        help=_("How many trees at most."),
        default=500,
        min=1,
        max=1_000_000,
        tunable=True,
        tune_min=10,
        tune_max=2000,
    ),
    Continuous(
        name="learning_rate",
        help=_("How much of each new tree is taken; without it, it follows from the rows and iterations."),
        min=0,
        exclusive_min=True,
        max=1,
        example=0.05,
        tunable=True,
        tune_min=0.001,
        tune_max=0.3,
        scale="logarithmic",
    ),
    Integer(
        name="depth",
        help=_("Depth of a tree."),
        default=6,
        min=1,
        max=16,
        tunable=True,
        tune_min=2,
        tune_max=10,
    ),
    Continuous(
        name="l2_leaf_reg",
        help=_("L2 regularisation of the leaves' values."),
        default=3,
        min=0,
        tunable=True,
        tune_min=1,
        tune_max=10,
    ),
    Categorical(
        name="eval_metric",
        help=_(
            "The metric that early stopping and the choice of the best iteration look at; by default the loss itself."
        ),
        values=tuple(METRICS),
    ),
    Integer(
        name="early_stopping_rounds",
        help=_(
            "Ends when the metric on the validation channel has not become better for so many iterations."
        ),
        min=1,
        example=20,
    ),
)

_TREES: Final = (
    Continuous(
        name="random_strength",
        help=_("How much chance there is in the choice of splits."),
        default=1,
        min=0,
        tunable=True,
        tune_min=0,
        tune_max=10,
    ),
    Continuous(
        name="rsm",
        help=_("Share of the columns drawn for each split."),
        default=1,
        min=0,
        exclusive_min=True,
        max=1,
        tunable=True,
        tune_min=0.1,
        tune_max=1,
    ),
    Categorical(
        name="bootstrap_type",
        help=_("How rows are drawn or weighted for each tree; by default what CatBoost takes for the loss."),
        values=("Bayesian", "Bernoulli", "MVS", "No"),
    ),
    Continuous(
        name="subsample",
        help=_("Share of the rows drawn for each tree."),
        min=0,
        exclusive_min=True,
        max=1,
        relevant_if={"bootstrap_type": ("Bernoulli", "MVS")},
    ),
    Continuous(
        name="bagging_temperature",
        help=_("How unequal the random weights of the rows are; 0 makes them equal."),
        min=0,
        relevant_if={"bootstrap_type": ("Bayesian",)},
    ),
    Categorical(
        name="grow_policy",
        help=_(
            "SymmetricTree: the same split on a whole level, the fastest to answer. Depthwise: level by level. "
            "Lossguide: where most is gained."
        ),
        default="SymmetricTree",
        values=("SymmetricTree", "Depthwise", "Lossguide"),
    ),
    Integer(
        name="min_data_in_leaf",
        help=_("Rows that a leaf has at least."),
        min=1,
        relevant_if={"grow_policy": ("Depthwise", "Lossguide")},
    ),
    Integer(
        name="max_leaves",
        help=_("Leaves of a tree at most."),
        min=2,
        max=64,
        relevant_if={"grow_policy": ("Lossguide",)},
    ),
    Categorical(
        name="boosting_type",
        help=_(
            "Ordered learns each row from those before it only, which suits few rows and takes longer; Plain does not. "
            "By default what CatBoost takes for the data."
        ),
        values=("Ordered", "Plain"),
    ),
    Integer(
        name="border_count",
        help=_("Number of ranges of each column among which splits are looked for, less one."),
        default=254,
        min=1,
        max=65_535,
    ),
    Continuous(
        name="scale_pos_weight",
        help=_("Weight of the rows with the larger label."),
        min=0,
        exclusive_min=True,
        relevant_if={"loss_function": ("Logloss",)},
    ),
    Integer(
        name="random_seed",
        help=_("Seed of all draws; the same seed gives the same model."),
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

SPEC: Final = AlgorithmSpec(
    name="catboost",
    title=_("CatBoost"),
    summary=_(
        "Gradient boosted trees whose levels split alike, which holds them back from learning by heart; good without "
        "much tuning. Missing values are taken as they are."
    ),
    engine="jobs.algorithms.catboost.engine:CatBoost",
    hyperparameters=(*_MAIN, *_TREES),
    channels=(
        Channel(name="train", help=_("The rows to learn from."), required=True),
        Channel(
            name="validation",
            help=_("Rows to measure the model with after every iteration; the model is the one of the best."),
        ),
        Channel(name="test", help=_("Rows to score the finished model with; the scores are in the log.")),
    ),
    metrics=tuple(
        Metric(
            name=f"{channel}:{name}",
            regex=rf"\[[0-9]+\].* {channel} {name}=([^\s,]+)",
            direction=direction,
            help=_("after each iteration"),
        )
        for channel in ("validation", "train")
        for name, (direction, _losses) in METRICS.items()
    )
    + TEST_METRICS,
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=("application/json", "application/jsonlines"),
    rules=rules,
    predicts=predicts,
    suggests=suggests,
)
