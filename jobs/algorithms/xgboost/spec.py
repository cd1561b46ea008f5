"""The declaration of `xgboost`: gradient boosted trees, with the managed service's hyperparameters.

Read by everybody; imports neither numpy nor xgboost. The rules between hyperparameters are in `rules.py`.
"""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import LIBSVM, AlgorithmSpec, Channel, Metric
from jobs.algorithms.hyperparameters import Categorical, Continuous, Integer, Text
from jobs.algorithms.quality_log import TEST_METRICS
from jobs.algorithms.xgboost.objectives import METRICS, MULTICLASS, OBJECTIVES, predicts, suggests
from jobs.algorithms.xgboost.rules import rules
from mlplatform.core.text import text as _

_DART: Final = {"booster": ("dart",)}

_MAIN: Final = (
    Integer(
        name="num_round",
        help=_("How many rounds of boosting; each adds a tree (one per class with multi:*)."),
        required=True,
        example=100,
        min=1,
        max=1_000_000,
        tunable=True,
        tune_min=1,
        tune_max=4000,
    ),
    Categorical(
        name="objective",
        help=_(
            "What is learned. reg:*: a number. binary:logistic: the probability of label 1. multi:softprob: the "
            "probability of every class; multi:softmax: only the most probable one. Classes are 0, 1, 2, …"
        ),
        default="reg:squarederror",
        values=OBJECTIVES,
    ),
    Integer(
        name="num_class",
        help=_("Number of classes; labels are 0 to num_class - 1."),
        min=2,
        max=10_000,
        example=3,
        relevant_if={"objective": MULTICLASS},
    ),
    Continuous(
        name="eta",
        help=_("Learning rate: how much of each new tree is taken."),
        default=0.3,
        min=0,
        max=1,
        tunable=True,
        tune_min=0.1,
        tune_max=0.5,
    ),
    Integer(
        name="max_depth",
        help=_("Depth of a tree at most; 0 sets no limit. Deeper trees learn more, also by heart."),
        default=6,
        min=0,
        max=64,
        tunable=True,
        tune_min=1,
        tune_max=10,
    ),
    Continuous(
        name="min_child_weight",
        help=_("Weight of the rows (their number, with reg:squarederror) that a leaf needs at least."),
        default=1,
        min=0,
        tunable=True,
        tune_min=0,
        tune_max=120,
    ),
    Continuous(
        name="subsample",
        help=_("Share of the rows drawn for each tree."),
        default=1,
        min=0,
        exclusive_min=True,
        max=1,
        tunable=True,
        tune_min=0.5,
        tune_max=1,
    ),
    Text(
        name="eval_metric",
        help=_(
            "Metrics that are written to the log after every round, separated by commas; by default the one that "
            "goes with the objective. Early stopping looks at the last one."
        ),
        max_length=200,
        example="rmse",
    ),
    Integer(
        name="early_stopping_rounds",
        help=_(
            "Ends when the metric on the validation channel has not become better for so many rounds; the model is "
            "the one of the best round. Without it all rounds are run."
        ),
        min=1,
        example=10,
    ),
)


def _share(name: str, help_text: str, *, tune_min: float) -> Continuous:
    return Continuous(
        name=name,
        help=help_text,
        default=1,
        min=0,
        exclusive_min=True,
        max=1,
        tunable=True,
        tune_min=tune_min,
        tune_max=1,
    )


_REGULAR: Final = (
    Continuous(
        name="gamma",
        help=_("Loss that a split must save at least."),
        default=0,
        min=0,
        tunable=True,
        tune_min=0,
        tune_max=5,
    ),
    Continuous(
        name="lambda",
        help=_("L2 regularisation of the leaves' values."),
        default=1,
        min=0,
        tunable=True,
        tune_min=0,
        tune_max=1000,
    ),
    Continuous(
        name="alpha",
        help=_("L1 regularisation of the leaves' values."),
        default=0,
        min=0,
        tunable=True,
        tune_min=0,
        tune_max=1000,
    ),
    _share("colsample_bytree", _("Share of the columns drawn for each tree."), tune_min=0.5),
    _share("colsample_bylevel", _("Share of the columns drawn for each level of a tree."), tune_min=0.1),
    _share("colsample_bynode", _("Share of the columns drawn for each split."), tune_min=0.1),
    Continuous(
        name="max_delta_step",
        help=_("The most that a leaf may change a prediction; 0 sets no limit."),
        default=0,
        min=0,
        tunable=True,
        tune_min=0,
        tune_max=10,
    ),
    Continuous(
        name="scale_pos_weight",
        help=_("Weight of the rows with label 1; rows without over rows with, where that label is rare."),
        default=1,
        min=0,
        exclusive_min=True,
        relevant_if={"objective": ("binary:logistic", "binary:logitraw", "binary:hinge")},
    ),
    Continuous(
        name="base_score",
        help=_("The prediction to begin with; without it, it is estimated from the labels."),
    ),
    Continuous(
        name="tweedie_variance_power",
        help=_("Between 1 (like a Poisson) and 2 (like a gamma distribution)."),
        default=1.5,
        min=1,
        exclusive_min=True,
        max=1.999,
        relevant_if={"objective": ("reg:tweedie",)},
    ),
)

_TREES: Final = (
    Categorical(
        name="tree_method",
        help=_(
            "How splits are found. hist (which auto means): among max_bin ranges of each column. approx: among "
            "ranges found anew in each round. exact: among all values, for little data."
        ),
        default="auto",
        values=("auto", "exact", "approx", "hist"),
    ),
    Integer(
        name="max_bin",
        help=_("Number of ranges of each column among which splits are looked for."),
        default=256,
        min=2,
        max=65_536,
        relevant_if={"tree_method": ("auto", "hist", "approx")},
    ),
    Categorical(
        name="grow_policy",
        help=_("depthwise grows level by level, lossguide splits where most is gained."),
        default="depthwise",
        values=("depthwise", "lossguide"),
    ),
    Integer(name="max_leaves", help=_("Leaves of a tree at most; 0 sets no limit."), default=0, min=0),
    Categorical(
        name="booster",
        help=_("gbtree: trees. dart: trees, some of which are left out while a new one is learned."),
        default="gbtree",
        values=("gbtree", "dart"),
    ),
    Categorical(
        name="sample_type",
        help=_("How trees to leave out are drawn."),
        default="uniform",
        values=("uniform", "weighted"),
        relevant_if=_DART,
    ),
    Categorical(
        name="normalize_type",
        help=_("How new trees are weighted against those left out."),
        default="tree",
        values=("tree", "forest"),
        relevant_if=_DART,
    ),
    Continuous(
        name="rate_drop",
        help=_("Share of the trees that are left out."),
        default=0,
        min=0,
        max=1,
        relevant_if=_DART,
    ),
    Integer(
        name="one_drop", help=_("1: leave out at least one tree."), default=0, min=0, max=1, relevant_if=_DART
    ),
    Continuous(
        name="skip_drop",
        help=_("Probability that no tree is left out in a round."),
        default=0,
        min=0,
        max=1,
        relevant_if=_DART,
    ),
    Integer(
        name="seed",
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

_CHANNELS: Final = {"train": _("after each round, on the training rows"), "validation": _("after each round")}

SPEC: Final = AlgorithmSpec(
    name="xgboost",
    title=_("XGBoost"),
    summary=_(
        "Gradient boosted trees: each new tree learns what the ones before it got wrong. Often the best for tables "
        "of numbers; missing values are taken as they are."
    ),
    engine="jobs.algorithms.xgboost.engine:XGBoost",
    hyperparameters=(*_MAIN, *_REGULAR, *_TREES),
    channels=(
        Channel(name="train", help=_("The rows to learn from."), required=True),
        Channel(name="validation", help=_("Rows to measure the model with after every round.")),
        Channel(name="test", help=_("Rows to score the finished model with; the scores are in the log.")),
    ),
    metrics=tuple(
        Metric(
            name=f"{channel}:{name}",
            regex=rf".*\[[0-9]+\].*#011{channel}-{name}(?:@[0-9.]+)?:([^\s#]+)",
            direction=direction,
            help=when,
        )
        for channel, when in reversed(_CHANNELS.items())
        for name, direction in METRICS.items()
    )
    + TEST_METRICS,
    request_content_types=("text/csv", "application/json", "application/jsonlines", *LIBSVM),
    response_content_types=("application/json", "application/jsonlines", "text/csv"),
    rules=rules,
    predicts=predicts,
    suggests=suggests,
    absent="missing",
)
