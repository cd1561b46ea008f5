"""The `#quality_metric` lines in which the managed service's algorithms say how good a model is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from jobs.algorithms.base import Metric, TrainingContext
from mlplatform.core.text import text as _


def quality_log(context: TrainingContext, channel: str, values: Mapping[str, float]) -> None:
    """One line per score, under the name of its channel."""
    for name, value in values.items():
        context.log(f"#quality_metric: host={context.host}, {channel} {name} <score>={float(value)!r}")


def quality_metrics(
    channels: Iterable[str], scores: Iterable[tuple[str, Literal["Maximize", "Minimize"], str]]
) -> tuple[Metric, ...]:
    """The metrics to declare for scores (name, direction, help) on these channels: `validation:accuracy`, …"""
    listed = tuple(scores)
    return tuple(
        Metric(
            name=f"{channel}:{name}",
            regex=rf"#quality_metric: host=\S+, {channel} {re.escape(name)} <score>=(\S+)",
            direction=direction,
            help=help_text,
        )
        for channel in channels
        for name, direction, help_text in listed
    )


TEST_METRICS: Final[tuple[Metric, ...]] = quality_metrics(
    ("test",),
    (
        ("accuracy", "Maximize", _("Share of the test rows whose label is predicted (classifier).")),
        ("macro_f_1.000", "Maximize", _("Mean over the labels of the F1 score (classifier).")),
        ("rmse", "Minimize", _("Root of the mean squared error over the test rows (regressor).")),
        ("mse", "Minimize", _("Mean squared error over the test rows (regressor).")),
    ),
)
