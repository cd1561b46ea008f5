"""Looks at a file somebody wants to make a dataset of: layout, types, label, statistics; refuses what cannot
be used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.data.column_types import column_types_find
from jobs.data.labels import label_place
from jobs.data.profile import Profile, profile_read
from jobs.data.sniff import layout_sniff
from mlplatform.core.tabular.arrays import EXACT_LIMIT
from mlplatform.core.tabular.cells import shown
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _
from mlplatform.core.text import to_json

_WARNINGS_SHOWN = 20


@dataclass(frozen=True)
class Inspected:
    profile: Profile
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The content of `profile.json`."""
        profile = self.profile
        return {
            "n_rows": profile.n_rows,
            "schema": profile.schema.to_dict(),
            "columns": profile.columns,
            "preview": profile.preview,
            "sample": {"rows": profile.sample},
            "warnings": self.warnings,
        }

    def summary(self) -> dict[str, Any]:
        """What a database row keeps: no histogram, preview or sample."""
        columns = [
            {key: value for key, value in column.items() if key != "histogram"}
            for column in self.profile.columns
        ]
        return {
            "n_rows": self.profile.n_rows,
            "schema": self.profile.schema.to_dict(),
            "columns": columns,
            "warnings": [to_json(warning) for warning in self.warnings],
        }


def file_inspect(
    path: Path,
    *,
    label: str | int | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Inspected:
    """Everything about the file at `path`.

    Args:
        label: Name or position of the label column.
        header, encoding, delimiter: As the user says; None is guessed.

    Raises:
        DataError: with row, column and value of what cannot be used.
        InvalidRequest: a label, encoding or delimiter that is none.
    """
    layout = layout_sniff(path, header=header, encoding=encoding, delimiter=delimiter)
    found = column_types_find(path, layout)
    schema = TableSchema(
        format=layout.format,
        columns=found.columns,
        types=found.types,
        encoding=layout.encoding,
        delimiter=layout.delimiter,
        header=layout.header,
        label=label_place(label, found.columns),
    )
    profile = profile_read(path, schema, found.n_rows)
    return Inspected(profile, [*layout.guesses, *_warnings(profile)])


def table_inspect(path: Path, schema: TableSchema, n_rows: int) -> Inspected:
    """The same for a file whose schema is known: types are kept, and the label mapping where the schema has
    one.
    """
    profile = profile_read(path, schema, n_rows)
    return Inspected(profile, _warnings(profile))


def profile_write(inspected: Inspected, path: Path) -> None:
    path.write_text(json.dumps(inspected.to_dict(), ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _warnings(profile: Profile) -> list[str]:
    label = profile.schema.label_name
    found: list[str] = [
        _("Column {name} {what}", name=shown(column["name"]), what=what)
        for column in profile.columns
        if (what := _warning(column, profile.n_rows, is_label=column["name"] == label))
    ]
    more = len(found) - _WARNINGS_SHOWN
    return (
        found
        if more <= 0
        else [*found[:_WARNINGS_SHOWN], _("{n} more columns have something like this", n=more)]
    )


def _warning(column: dict[str, Any], n_rows: int, *, is_label: bool) -> str | None:
    if column["missing"] == n_rows:
        return _("has no value in any row")
    if column["distinct"] == 1:
        return _("has the same value in every row that has one")
    if column["type"] == "text" and not is_label:
        return _("is text; algorithms that need numbers cannot use it")
    if column["missing"]:
        return _("has {n} missing cells; not every algorithm accepts them", n=column["missing"])
    largest = max(abs(column["min"] or 0), abs(column["max"] or 0))
    if column["type"] == "integral" and largest > EXACT_LIMIT:
        return _("has numbers over {limit}, which float32 rounds", limit=EXACT_LIMIT)
    return None
