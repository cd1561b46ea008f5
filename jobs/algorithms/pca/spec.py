"""The declaration of `pca`: principal components, with the managed service's hyperparameters. Imports nothing heavy."""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import UNLABELLED_CONTENT_TYPES, AlgorithmSpec, Channel, Metric
from jobs.algorithms.hyperparameters import Categorical, Integer, Text
from jobs.algorithms.pca.rules import rules
from mlplatform.core.text import text as _

SPEC: Final = AlgorithmSpec(
    name="pca",
    title=_("Principal components"),
    summary=_(
        "Turns many columns into few that keep as much of the rows' differences as can be kept. Needs no labels; those "
        "of the data are not looked at."
    ),
    engine="jobs.algorithms.pca.engine:PCA",
    hyperparameters=(
        Integer(
            name="num_components",
            help=_("How many columns to make."),
            required=True,
            example=2,
            min=1,
            max=10_000,
        ),
        Integer(
            name="feature_dim",
            help=_("Number of feature columns; auto counts them in the data."),
            default="auto",
            min=1,
            words=("auto",),
        ),
        Integer(name="mini_batch_size", help=_("How many rows are read at a time."), default=5000, min=1),
        Categorical(
            name="algorithm_mode",
            help=_(
                "regular: exact, over all pairs of columns. randomized: near, by random directions; for many columns."
            ),
            default="regular",
            values=("regular", "randomized"),
        ),
        Integer(
            name="extra_components",
            help=_(
                "Random directions beyond num_components; more are nearer. -1: as many again, at least 10."
            ),
            default=-1,
            min=-1,
            max=10_000,
            relevant_if={"algorithm_mode": ("randomized",)},
        ),
        Categorical(
            name="subtract_mean",
            help=_("Whether the mean of each column is subtracted first."),
            default="true",
            values=("true", "false"),
        ),
        Integer(
            name="_seed",
            help=_("Seed of the random directions; the same seed gives the same model."),
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
            help=_("The rows to find components of."),
            required=True,
            content_types=UNLABELLED_CONTENT_TYPES,
        ),
        Channel(
            name="test",
            help=_("Rows to say how much of them the components keep; it is in the log."),
            content_types=UNLABELLED_CONTENT_TYPES,
        ),
    ),
    metrics=(
        Metric(
            name="test:explained_variance",
            regex=r"#quality_metric: host=\S+, test explained_variance <score>=(\S+)",
            direction="Maximize",
            help=_("Share of the rows' squared distance from the mean that the components keep."),
        ),
    ),
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=("application/json", "application/jsonlines"),
    rules=rules,
    label="none",
)
