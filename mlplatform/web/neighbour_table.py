"""The neighbours of a row as a table: columns that differ first, cells that differ marked. Pure; called by the view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from endpoints.neighbours import columns_by_difference, difference
from endpoints.services.neighbours import Neighbour, Neighbourhood
from mlplatform.web.templatetags.figures import significant

COLUMNS_SHOWN = 60
ROWS_SHOWN = 100
WEIGHTS = (0.05, 0.3)
"""Shares of a row's squared differences from which a cell is marked stronger."""


@dataclass(frozen=True)
class FeatureColumn:
    """A feature, the query's value in it, and how many of the neighbours have another one."""

    name: str
    place: int
    query: str
    n_different: int


@dataclass(frozen=True)
class FeatureCell:
    """A neighbour's value; `gap` says by how much it differs, and is empty where it does not.

    `weight` is 0 for an equal value, else 1 to 3: how much of all squared differences of the row it makes.
    """

    text: str
    weight: int
    gap: str


@dataclass(frozen=True)
class NeighbourLine:
    """`agrees`: whether its label is the true one, None where that is not known."""

    neighbour: Neighbour
    agrees: bool | None
    cells: list[FeatureCell]


@dataclass(frozen=True)
class NeighbourTable:
    """`n_columns` and `n_rows` are how many there are; fewer are shown unless all are asked for."""

    columns: list[FeatureColumn]
    rows: list[NeighbourLine]
    n_columns: int
    n_rows: int


def distance_title(index_metric: str | None) -> str:
    """What the distances are, which depends on what the model takes for near."""
    titles = {
        "L2": _("Squared distance"),
        "COSINE": _("Cosine distance"),
        "INNER_PRODUCT": _("Inner product"),
    }
    return titles.get(index_metric or "") or _("Distance")


def neighbour_table(
    found: Neighbourhood, *, k: int, all_columns: bool = False, all_rows: bool = False
) -> NeighbourTable:
    """The nearest `k`. The order of columns is that of all neighbours, so that it stays while k is changed."""
    query, names = found.query.values, found.feature_names
    known = [one.values for one in found.neighbours if one.values and len(one.values) == len(query)]
    ordered = columns_by_difference(query, known) if known else [(place, 0) for place in range(len(query))]
    shown = ordered if all_columns else ordered[:COLUMNS_SHOWN]
    columns = [
        FeatureColumn(names[place] if place < len(names) else f"c{place}", place, query[place], n_different)
        for place, n_different in shown
    ]
    nearest = found.neighbours[:k]
    rows = nearest if all_rows else nearest[:ROWS_SHOWN]
    return NeighbourTable(
        columns=columns,
        rows=[NeighbourLine(one, _agrees(found, one), _cells(one, columns, query)) for one in rows],
        n_columns=len(query),
        n_rows=len(nearest),
    )


def _agrees(found: Neighbourhood, one: Neighbour) -> bool | None:
    if not found.is_classifier or found.true_label is None:
        return None
    return one.label == found.true_label


def _cells(one: Neighbour, columns: Sequence[FeatureColumn], query: Sequence[str]) -> list[FeatureCell]:
    if one.values is None or len(one.values) != len(query):
        return []
    gaps = [difference(given, text) for given, text in zip(query, one.values, strict=True)]
    total = sum(gap * gap for gap in gaps) or 1.0
    return [
        FeatureCell(
            one.values[column.place],
            _weight(gaps[column.place] ** 2 / total),
            _gap_text(column.query, one.values[column.place], gaps[column.place]),
        )
        for column in columns
    ]


def _weight(share: float) -> int:
    return 0 if share == 0 else 1 + sum(share >= least for least in WEIGHTS)


def _gap_text(query: str, text: str, gap: float) -> str:
    if gap == 0:
        return ""
    try:
        float(query), float(text)
    except ValueError:
        return f"≠ {query}"
    return f"{'+' if gap > 0 else '−'}{significant(abs(gap))}"
