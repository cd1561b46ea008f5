"""Names of columns: given by a header, or generated where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.cells import shown
from mlplatform.core.tabular.schema import MAX_COLUMNS
from mlplatform.core.text import text as _


def column_names_check(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they are. Raises DataError for an empty or repeated one, and for too many."""
    if len(names) > MAX_COLUMNS:
        raise DataError(
            _("the table has {n} columns, at most {limit} are accepted", n=len(names), limit=MAX_COLUMNS)
        )
    first_place: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name.strip():
            raise DataError(
                _(
                    "the column at position {place} has an empty name; name it, or remove it if it only numbers the "
                    "rows (pandas: to_csv(index=False), R: row.names=FALSE)",
                    place=place,
                )
            )
        if name in first_place:
            raise DataError(
                _(
                    "the column name {name} appears at positions {first} and {second}; names must differ",
                    name=shown(name),
                    first=first_place[name],
                    second=place,
                ),
                column=name,
            )
        first_place[name] = place
    return tuple(names)


def generated_names(n_columns: int) -> tuple[str, ...]:
    """`c0`, `c1`, … Raises DataError for too many."""
    return column_names_check([f"c{place}" for place in range(n_columns)])
