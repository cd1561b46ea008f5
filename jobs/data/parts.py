"""Which rows go into which part of a split: scikit-learn's `train_test_split`, for two parts or more."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from mlplatform.core.errors import InvalidRequest

Rows = NDArray[np.int64]
_TOLERANCE = 1e-9


def fractions_check(fractions: Mapping[str, float]) -> None:
    """Raises InvalidRequest (field `fractions`) unless there are two or more, each above 0, together at most
    1.
    """
    if len(fractions) < 2:
        raise InvalidRequest.for_field(
            "fractions", 'two or more are needed, such as {"train": 0.9, "test": 0.1}'
        )
    for name, fraction in fractions.items():
        if not (math.isfinite(fraction) and 0 < fraction < 1):
            raise InvalidRequest.for_field(
                f"fractions.{name}", f"{fraction:g} is out of range; use 0 < fraction < 1"
            )
    total = sum(fractions.values())
    if total > 1 + _TOLERANCE:
        raise InvalidRequest.for_field(
            "fractions", f"they add up to {total:g}; together they may be at most 1"
        )


def row_parts(
    n_rows: int,
    fractions: Mapping[str, float],
    *,
    seed: int,
    shuffle: bool = True,
    labels: NDArray[np.generic] | None = None,
) -> dict[str, Rows]:
    """Row numbers from 0 of each part, in the order in which scikit-learn gives them.

    For two parts this is exactly `train_test_split(rows, test_size=<the second>, random_state=seed)`: the
    second part has ceil(fraction * n) rows. Of more parts the later ones are split off one after the other. A
    part named `train` is always the one that remains.

    Args:
        labels: [n]; given, every part keeps the proportions of their values (`stratify`).

    Raises:
        InvalidRequest: an empty part, or too few rows of a label to stratify.
    """
    names = sorted(fractions, key=lambda name: name != "train")
    rest = np.arange(n_rows)
    found: dict[str, Rows] = {}
    for name in reversed(names[1:]):
        n_part = math.ceil(fractions[name] * n_rows - _TOLERANCE)
        n_first = _n_first(names, fractions, n_rows) if name == names[1] else None
        rest, found[name] = _split(rest, n_part, n_first, name, seed=seed, shuffle=shuffle, labels=labels)
    found[names[0]] = rest
    return {name: found[name] for name in fractions}


def _n_first(names: list[str], fractions: Mapping[str, float], n_rows: int) -> int | None:
    """Rows of the first part where the fractions do not use up all rows; None: all that remain."""
    if sum(fractions.values()) > 1 - _TOLERANCE:
        return None
    return math.floor(fractions[names[0]] * n_rows + _TOLERANCE)


def _split(
    rows: Rows,
    n_part: int,
    n_first: int | None,
    name: str,
    *,
    seed: int,
    shuffle: bool,
    labels: NDArray[np.generic] | None,
) -> tuple[Rows, Rows]:
    left = len(rows) - n_part if n_first is None else n_first
    if n_part < 1 or left < 1 or n_part + left > len(rows):
        raise InvalidRequest.for_field("fractions", f"a part would have no row of the {len(rows)} there are")
    try:
        first, part = train_test_split(
            rows,
            test_size=n_part,
            train_size=n_first,
            random_state=seed,
            shuffle=shuffle,
            stratify=None if labels is None else labels[rows],
        )
    except ValueError as error:
        field = "fractions" if labels is None else "stratify"
        raise InvalidRequest.for_field(field, f"part {name!r} cannot be made: {error}") from error
    return first, part
