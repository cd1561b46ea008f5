"""The declaration of `random-forest`, with scikit-learn's names for hyperparameters. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import AlgorithmSpec, Channel, predictor_type_suggested
from jobs.algorithms.hyperparameters import Categorical, Continuous, Integer, Text
from jobs.algorithms.quality_log import TEST_METRICS
from jobs.algorithms.random_forest.rules import CRITERIA, rules
from mlplatform.core.text import text as _

_MAIN: Final = (
    Categorical(
        name="predictor_type",
        help=_("classifier: the trees vote for a label. regressor: the mean of what they predict."),
        required=True,
        example="classifier",
        values=("classifier", "regressor"),
    ),
    Integer(
        name="n_estimators",
        help=_("Number of trees; more are never worse, but slower."),
        default=100,
        min=1,
        max=100_000,
        tunable=True,
        tune_min=10,
        tune_max=1000,
        scale="logarithmic",
    ),
    Integer(
        name="max_depth",
        help=_("Depth of a tree at most; without it, trees grow until their leaves are pure."),
        min=1,
        max=1000,
        tunable=True,
        tune_min=2,
        tune_max=32,
    ),
    Continuous(
        name="max_features",
        help=_(
            "Share of the columns among which each split is looked for; sqrt and log2 of their number. auto is sqrt "
            "for a classifier and all columns for a regressor."
        ),
        default="auto",
        min=0,
        exclusive_min=True,
        max=1,
        words=("auto", "sqrt", "log2"),
        tunable=True,
        tune_min=0.1,
        tune_max=1,
    ),
    Integer(
        name="min_samples_leaf",
        help=_("Rows that a leaf has at least."),
        default=1,
        min=1,
        tunable=True,
        tune_min=1,
        tune_max=100,
        scale="logarithmic",
    ),
    Integer(
        name="min_samples_split",
        help=_("Rows that a node has at least to be split."),
        default=2,
        min=2,
        tunable=True,
        tune_min=2,
        tune_max=100,
        scale="logarithmic",
    ),
)

_MORE: Final = (
    Integer(name="max_leaf_nodes", help=_("Leaves of a tree at most."), min=2),
    Categorical(
        name="criterion",
        help=_("What a split makes small; auto is gini for a classifier and squared_error for a regressor."),
        default="auto",
        values=("auto", *(name for names in CRITERIA.values() for name in names)),
    ),
    Continuous(
        name="min_impurity_decrease",
        help=_("By how much a split must lower the impurity at least."),
        default=0,
        min=0,
    ),
    Continuous(
        name="ccp_alpha",
        help=_("How strongly trees are cut back after they have grown; 0 does not."),
        default=0,
        min=0,
    ),
    Categorical(
        name="bootstrap",
        help=_("Whether each tree sees rows drawn with replacement; else all see all rows."),
        default="true",
        values=("true", "false"),
    ),
    Continuous(
        name="max_samples",
        help=_("Share of the rows drawn for each tree; without it, as many as there are."),
        min=0,
        exclusive_min=True,
        max=1,
        relevant_if={"bootstrap": ("true",)},
    ),
    Categorical(
        name="class_weight",
        help=_(
            "balanced makes all labels weigh the same; balanced_subsample does so among the rows of each tree."
        ),
        default="none",
        values=("none", "balanced", "balanced_subsample"),
        relevant_if={"predictor_type": ("classifier",)},
    ),
    Integer(
        name="random_state",
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
    name="random-forest",
    title=_("Random forest"),
    summary=_(
        "Many trees, each grown on other rows and columns, that vote or are averaged. Hard to get wrong; good without "
        "tuning."
    ),
    engine="jobs.algorithms.random_forest.engine:RandomForest",
    hyperparameters=(*_MAIN, *_MORE),
    channels=(
        Channel(name="train", help=_("The rows to learn from."), required=True),
        Channel(name="test", help=_("Rows to score the finished model with; the scores are in the log.")),
    ),
    metrics=TEST_METRICS,
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=("application/json", "application/jsonlines"),
    rules=rules,
    suggests=predictor_type_suggested,
)
