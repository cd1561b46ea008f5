"""The declaration of `kmeans`: clusters of rows, with the managed service's hyperparameters. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import UNLABELLED_CONTENT_TYPES, AlgorithmSpec, Channel
from jobs.algorithms.hyperparameters import Categorical, Continuous, Integer, Text
from jobs.algorithms.kmeans.rules import rules
from jobs.algorithms.quality_log import quality_metrics
from mlplatform.core.text import text as _

_METHODS: Final = ("random", "kmeans++")

SPEC: Final = AlgorithmSpec(
    name="kmeans",
    title=_("k-means"),
    summary=_(
        "Finds k groups of rows that lie near each other, and answers for a row which group is nearest and how far its "
        "centre is. Needs no labels; those of the data are not looked at."
    ),
    engine="jobs.algorithms.kmeans.engine:KMeans",
    hyperparameters=(
        Integer(name="k", help=_("Number of clusters."), required=True, example=10, min=1, max=100_000),
        Integer(
            name="feature_dim",
            help=_("Number of feature columns; auto counts them in the data."),
            default="auto",
            min=1,
            words=("auto",),
        ),
        Integer(name="epochs", help=_("Passes over the training rows."), default=1, min=1, max=10_000),
        Integer(
            name="mini_batch_size",
            help=_("Rows after which the centres are moved."),
            default=5000,
            min=1,
            tunable=True,
            tune_min=3000,
            tune_max=15_000,
        ),
        Categorical(
            name="init_method",
            help=_("How the first centres are chosen: rows at random, or (kmeans++) such as lie far apart."),
            default="random",
            values=_METHODS,
            tunable=True,
        ),
        Integer(
            name="extra_center_factor",
            help=_(
                "How many times k centres are kept while rows are read; they are joined to k at the end. auto is 10, "
                "or as many as the rows allow."
            ),
            default="auto",
            min=1,
            max=1000,
            words=("auto",),
            tunable=True,
            tune_min=4,
            tune_max=10,
        ),
        Categorical(
            name="local_lloyd_init_method",
            help=_("How the k centres are first chosen among those kept."),
            default="kmeans++",
            values=_METHODS,
        ),
        Integer(
            name="local_lloyd_max_iter",
            help=_("Rounds at most in which the k centres are improved at the end."),
            default=300,
            min=1,
        ),
        Continuous(
            name="local_lloyd_tol",
            help=_("The improvement of a round below which they are taken as they are."),
            default=0.0001,
            min=0,
            max=1,
        ),
        Text(
            name="eval_metrics",
            help=_(
                "The scores of the test channel, as a list in JSON: msd is the mean squared distance from the "
                "nearest centre, ssd the sum."
            ),
            default='["msd"]',
            max_length=60,
        ),
        Integer(
            name="_seed",
            help=_("Seed of all draws; the same seed gives the same model."),
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
    ),
    channels=(
        Channel(
            name="train",
            help=_("The rows to find clusters in."),
            required=True,
            content_types=UNLABELLED_CONTENT_TYPES,
        ),
        Channel(
            name="test",
            help=_("Rows to score the centres with; the scores are in the log."),
            content_types=UNLABELLED_CONTENT_TYPES,
        ),
    ),
    metrics=quality_metrics(
        ("test",),
        (
            ("msd", "Minimize", _("Mean squared distance from the nearest centre.")),
            ("ssd", "Minimize", _("Sum of the squared distances from the nearest centre.")),
        ),
    ),
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=("application/json", "application/jsonlines", "text/csv"),
    rules=rules,
    label="none",
)
