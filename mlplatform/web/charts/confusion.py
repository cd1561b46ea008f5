"""The confusion matrix of a table run as a shaded table. Pure: summary in, rows of cells out.

A table and not a drawn heat map: its numbers are what is read, and the page's policy refuses the styles that
Plotly needs for sharp cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHADES = 6


@dataclass(frozen=True)
class Cell:
    """`shade` from 0 (none of the label's rows) to 6 (all of them); `right` on the diagonal."""

    count: int
    shade: int
    right: bool


@dataclass(frozen=True)
class ConfusionRow:
    """The rows of one label: how many of them got each prediction."""

    label: str
    cells: list[Cell]
    total: int


def confusion_rows(summary: Mapping[str, Any]) -> list[ConfusionRow]:
    """A row per label in the order of `summary["labels"]`, which is also the order of the predictions."""
    return [
        _row(str(label), place, counts)
        for place, (label, counts) in enumerate(zip(summary["labels"], summary["confusion"], strict=True))
    ]


def _row(label: str, place: int, counts: list[int]) -> ConfusionRow:
    total = sum(counts)
    cells = [Cell(count, _shade(count, total), column == place) for column, count in enumerate(counts)]
    return ConfusionRow(label, cells, total)


def _shade(count: int, total: int) -> int:
    """Any count but zero is visible."""
    return max(1, round(SHADES * count / total)) if count else 0
