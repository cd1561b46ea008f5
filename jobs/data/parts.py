"""Which rows go into which part of a split: scikit-learn's `train_test_split`, for two parts or more."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from jobs.data.fractions import TOLERANCE
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

Rows = NDArray[np.int64]


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
    n_first, *sizes = _sizes([fractions[name] for name in names], n_rows)
    uses_all = n_first + sum(sizes) == n_rows
    rest = np.arange(n_rows)
    found: dict[str, Rows] = {}
    for place in range(len(names) - 1, 0, -1):
        kept = n_first if place == 1 and not uses_all else None
        rest, found[names[place]] = _split(
            rest, sizes[place - 1], kept, names[place], seed=seed, shuffle=shuffle, labels=labels
        )
    found[names[0]] = rest
    return {name: found[name] for name in fractions}


def _sizes(shares: list[float], n_rows: int) -> list[int]:
    """Rows of each part: for two as scikit-learn rounds, for more so that rounding adds up over all parts."""
    if len(shares) == 2:
        n_second = math.ceil(shares[1] * n_rows)
        uses_all = sum(shares) > 1 - TOLERANCE
        return [n_rows - n_second if uses_all else math.floor(shares[0] * n_rows), n_second]
    ends = [
        math.floor(sum(shares[: place + 1]) * n_rows + TOLERANCE * n_rows) for place in range(len(shares))
    ]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


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
    if n_part < 1 or left < 1:
        raise InvalidRequest.for_field(
            "fractions", _("a part would have no row of the {n} there are", n=len(rows))
        )
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
