"""The confusion matrix of a table run or an evaluation as a shaded table. Pure: summary in, rows of cells out.

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
    prediction: str


@dataclass(frozen=True)
class ConfusionRow:
    """The rows of one label: how many of them got each prediction."""

    label: str
    cells: list[Cell]
    total: int


def confusion_rows(summary: Mapping[str, Any]) -> list[ConfusionRow]:
    """A row per label in the order of `summary["labels"]`, which is also the order of the predictions."""
    labels = [str(label) for label in summary["labels"]]
    return [
        _row(labels, place, counts)
        for place, (_label, counts) in enumerate(zip(labels, summary["confusion"], strict=True))
    ]


def _row(labels: list[str], place: int, counts: list[int]) -> ConfusionRow:
    total = sum(counts)
    cells = [
        Cell(count, _shade(count, total), column == place, prediction)
        for column, (prediction, count) in enumerate(zip(labels, counts, strict=True))
    ]
    return ConfusionRow(labels[place], cells, total)


def _shade(count: int, total: int) -> int:
    """Any count but zero is visible."""
    return max(1, round(SHADES * count / total)) if count else 0
