"""From the labels of the nearest neighbours to an answer for every k, and which columns tell them apart. Pure.

Called by the service that inspects neighbours; no Django here, and no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Vote:
    """The answer of the nearest `k`: of a classifier the winning code and its votes, of a regressor the mean.

    `n_true` is how many of them have the true label; None where it is not known.
    """

    k: int
    value: float
    n_votes: int | None = None
    n_true: int | None = None

    @property
    def share(self) -> float | None:
        return None if self.n_votes is None else self.n_votes / self.k

    @property
    def true_share(self) -> float | None:
        return None if self.n_true is None else self.n_true / self.k


def votes_by_k(codes: Sequence[float], *, true: float | None = None) -> list[Vote]:
    """The majority of the first k codes for every k, each counting once, the smallest code of those that tie.

    Args:
        codes: Labels of the neighbours, nearest first.
        true: The label that the row really has. O(k) in all.
    """
    counts: dict[float, int] = {}
    votes: list[Vote] = []
    winner = math.nan
    for k, code in enumerate(codes, start=1):
        counts[code] = counts.get(code, 0) + 1
        if not counts.get(winner) or (counts[code], -code) > (counts[winner], -winner):
            winner = code
        votes.append(Vote(k, winner, counts[winner], None if true is None else counts.get(true, 0)))
    return votes


def means_by_k(values: Sequence[float]) -> list[Vote]:
    """The mean of the first k values for every k."""
    return [Vote(k, total / k) for k, total in enumerate(accumulate(values), start=1)]


def columns_by_difference(query: Sequence[str], rows: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Every column with how many of the rows differ from the query in it.

    Those that differ come first, by the sum of their squared differences, as they make up a Euclidean distance; then
    those that are the same in every row, in their order. Text counts as different by 1.
    """
    found = []
    for place, given in enumerate(query):
        gaps = [difference(given, row[place]) for row in rows]
        n_different = sum(gap != 0 for gap in gaps)
        found.append((-sum(gap * gap for gap in gaps), -n_different, place))
    return [(place, -different) for _gap, different, place in sorted(found)]


def difference(one: str, other: str) -> float:
    """How far apart two cells are, as numbers where both are; 1 for unlike texts, 0 for equal ones."""
    if one == other:
        return 0.0
    try:
        gap = float(other) - float(one)
    except ValueError:
        return 1.0
    return gap if math.isfinite(gap) else 1.0
