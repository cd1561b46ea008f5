"""The declaration of `linear-learner`: linear and logistic models, with the managed service's hyperparameters.

Those of the service that have no meaning here (many models at once, choice of a threshold, learning-rate schedules) are
not declared, so that a request with one is refused and not silently changed. Imports nothing heavy.
"""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import AlgorithmSpec, Channel, Metric
from jobs.algorithms.hyperparameters import Categorical, Continuous, Integer, Text
from jobs.algorithms.linear_learner.rules import (
    BINARY,
    LOSSES,
    MULTICLASS,
    PREDICTOR_TYPES,
    predicts,
    rules,
    suggests,
)
from jobs.algorithms.quality_log import quality_metrics
from mlplatform.core.text import text as _

_TRUTH: Final = ("true", "false")

_MAIN: Final = (
    Categorical(
        name="predictor_type",
        help=_(
            "binary_classifier: labels 0 and 1. multiclass_classifier: labels 0 to num_classes - 1. "
            "regressor: a number."
        ),
        required=True,
        example="regressor",
        values=PREDICTOR_TYPES,
    ),
    Integer(
        name="num_classes",
        help=_("Number of classes; labels are 0 to num_classes - 1."),
        min=3,
        max=10_000,
        example=3,
        relevant_if={"predictor_type": (MULTICLASS,)},
    ),
    Integer(
        name="feature_dim",
        help=_("Number of feature columns; auto counts them in the data."),
        default="auto",
        min=1,
        words=("auto",),
    ),
    Integer(name="epochs", help=_("Passes over the training rows at most."), default=15, min=1, max=100_000),
    Integer(
        name="mini_batch_size",
        help=_(
            "Rows after which the weights are changed; never more than a thirtieth of the rows, so that little data is "
            "learned from as well."
        ),
        default=1000,
        min=1,
        tunable=True,
        tune_min=100,
        tune_max=5000,
    ),
    Continuous(
        name="learning_rate",
        help=_("Size of the first step; it falls to a hundredth by the last. auto is 0.03."),
        default="auto",
        min=0,
        exclusive_min=True,
        words=("auto",),
        tunable=True,
        tune_min=1e-4,
        tune_max=1,
        scale="logarithmic",
    ),
    Categorical(
        name="optimizer",
        help=_("adam (which auto means): steps of their own for each weight; sgd: with momentum."),
        default="auto",
        values=("auto", "adam", "sgd"),
    ),
    Categorical(
        name="loss",
        help=_(
            "What is made small; auto is logistic, softmax_loss or squared_loss after the predictor type."
        ),
        default="auto",
        values=("auto", *(name for names in LOSSES.values() for name in names)),
    ),
    Continuous(
        name="l1",
        help=_("L1 regularisation of the weights; auto is 0."),
        default="auto",
        min=0,
        words=("auto",),
        tunable=True,
        tune_min=1e-7,
        tune_max=1,
        scale="logarithmic",
    ),
    Continuous(
        name="wd",
        help=_("L2 regularisation of the weights (weight decay); auto is 0."),
        default="auto",
        min=0,
        words=("auto",),
        tunable=True,
        tune_min=1e-7,
        tune_max=1,
        scale="logarithmic",
    ),
)

_MORE: Final = (
    Categorical(name="use_bias", help=_("Whether there is a constant term."), default="true", values=_TRUTH),
    Categorical(
        name="normalize_data",
        help=_("Whether columns are brought to mean 0 and standard deviation 1 first."),
        default="true",
        values=_TRUTH,
    ),
    Categorical(
        name="normalize_label",
        help=_(
            "Whether labels are brought to mean 0 and standard deviation 1 first; auto does so for a regressor."
        ),
        default="auto",
        values=("auto", *_TRUTH),
        relevant_if={"predictor_type": ("regressor",)},
    ),
    Integer(
        name="early_stopping_patience",
        help=_("Epochs that may pass without a better loss (on the validation channel, if there is one)."),
        default=3,
        min=1,
    ),
    Continuous(
        name="early_stopping_tolerance",
        help=_("By which share a loss must be better to count as such."),
        default=0.001,
        min=0,
    ),
    Continuous(
        name="positive_example_weight_mult",
        help=_("Weight of the rows with label 1; balanced makes both labels weigh the same."),
        default=1,
        min=0,
        exclusive_min=True,
        words=("balanced",),
        relevant_if={"predictor_type": (BINARY,)},
    ),
    Categorical(
        name="balance_multiclass_weights",
        help=_("Whether all classes weigh the same."),
        default="false",
        values=_TRUTH,
        relevant_if={"predictor_type": (MULTICLASS,)},
    ),
    Continuous(
        name="quantile",
        help=_("The quantile of the labels to predict."),
        default=0.5,
        min=0.001,
        max=0.999,
        relevant_if={"loss": ("quantile_loss",)},
    ),
    Continuous(
        name="huber_delta",
        help=_("Errors beyond it count linearly and not by their square."),
        default=1,
        min=0,
        exclusive_min=True,
        relevant_if={"loss": ("huber_loss",)},
    ),
    Integer(
        name="_seed",
        help=_("Seed of the order of rows; the same seed gives the same model."),
        default=0,
        min=0,
        max=2**31 - 1,
        hidden=True,
    ),
    Text(
        name="_tuning_objective_metric",
        help=_("The metric of the tuning job that started this job."),
        default="",
        hidden=True,
    ),
)

_SCORES: Final = (
    ("objective_loss", "Minimize", _("The loss, by row.")),
    ("binary_classification_accuracy", "Maximize", _("Share of the rows whose label is predicted.")),
    ("precision", "Maximize", _("Of the rows predicted 1, the share that is.")),
    ("recall", "Maximize", _("Of the rows with label 1, the share predicted so.")),
    ("binary_f_beta", "Maximize", _("F1 of label 1.")),
    ("roc_auc_score", "Maximize", _("Area under the ROC curve.")),
    ("multiclass_accuracy", "Maximize", _("Share of the rows whose label is predicted.")),
    ("macro_f_beta", "Maximize", _("Mean over the labels of the F1 score.")),
    ("mse", "Minimize", _("Mean squared error.")),
    ("rmse", "Minimize", _("Root of the mean squared error.")),
    ("absolute_loss", "Minimize", _("Mean absolute error.")),
)

SPEC: Final = AlgorithmSpec(
    name="linear-learner",
    title=_("Linear learner"),
    summary=_(
        "Weights each column and adds up: linear regression, logistic regression and their like. Fast, small, and easy "
        "to explain; a measure for all that is more complicated."
    ),
    engine="jobs.algorithms.linear_learner.engine:LinearLearner",
    hyperparameters=(*_MAIN, *_MORE),
    channels=(
        Channel(name="train", help=_("The rows to learn from."), required=True),
        Channel(name="validation", help=_("Rows that say when to stop, and which epoch was best.")),
        Channel(name="test", help=_("Rows to score the finished model with; the scores are in the log.")),
    ),
    metrics=(
        *quality_metrics(("validation", "test"), _SCORES),
        Metric(
            name="train:objective_loss",
            regex=r"#quality_metric: host=\S+, epoch=\d+, train objective_loss <loss>=(\S+)",
            direction="Minimize",
            help=_("The loss by row in each epoch."),
        ),
    ),
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=("application/json", "application/jsonlines"),
    rules=rules,
    predicts=predicts,
    suggests=suggests,
)
