"""Whether labels are ones that an objective of XGBoost can learn. Pure numpy; says what is wrong in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.xgboost.objectives import BINARY, LABEL_RANGES, MULTICLASS
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _


def labels_check(y: NDArray[np.float32], *, objective: str, num_class: int | None, channel: str) -> None:
    """Raises DataError with the first row whose label does not go with the objective."""
    if objective in BINARY or objective in MULTICLASS:
        _classes_check(y, 2 if objective in BINARY else int(num_class or 0), objective, channel)
    elif objective in LABEL_RANGES:
        _range_check(y, objective, channel)


def _classes_check(y: NDArray[np.float32], n: int, objective: str, channel: str) -> None:
    bad = (y != np.floor(y)) | (y < 0) | (y >= n)
    if not bad.any():
        return
    row, highest = int(bad.argmax()), float(y.max())
    advice = (
        _("with labels up to {highest} use a num_class of {n}", highest=f"{highest:g}", n=int(highest) + 1)
        if objective in MULTICLASS and y.min() >= 0 and (y == np.floor(y)).all()
        else _("number the classes from 0")
    )
    raise DataError(
        _(
            "the label {label} is none of the classes 0 to {last} of objective {objective}, which are counted from "
            "0; {advice} ({channel} channel)",
            label=f"{y[row]:g}",
            last=n - 1,
            objective=objective,
            advice=advice,
            channel=channel,
        ),
        row=row + 1,
        value=f"{y[row]:g}",
    )


def _range_check(y: NDArray[np.float32], objective: str, channel: str) -> None:
    low, high, is_open = LABEL_RANGES[objective]
    bad = (y < low) | (y > high) | ((y == low) & is_open)
    if not bad.any():
        return
    row = int(bad.argmax())
    if high == float("inf"):
        wanted = _("above {low}", low=f"{low:g}") if is_open else _("of at least {low}", low=f"{low:g}")
    else:
        wanted = _("from {low} to {high}", low=f"{low:g}", high=f"{high:g}")
    raise DataError(
        _(
            "the label {label} does not go with objective {objective}, which needs labels {wanted} "
            "({channel} channel)",
            label=f"{y[row]:g}",
            objective=objective,
            wanted=wanted,
            channel=channel,
        ),
        row=row + 1,
        value=f"{y[row]:g}",
    )
