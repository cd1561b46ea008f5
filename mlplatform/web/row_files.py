"""Rows of an evaluation and neighbours of a row as files: CSV for spreadsheets, or JSON. Called by their views."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from endpoints.services.neighbours import Neighbourhood
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.result_table import Cell, Column, ResultTable
from mlplatform.core.spreadsheet import csv_chunks

FORMS: Final = ("csv", "json")
CLASSIFIED: Final = ("row", "label", "prediction", "correct")
ESTIMATED: Final = ("row", "label", "prediction", "error")
_NEIGHBOUR: Final = ("rank", "distance", "label", "row")


def rows_file(
    rows: Iterable[Mapping[str, Any]], *, stem: str, form: str, is_regression: bool
) -> DownloadResponse:
    """Predictions row by row, however many there are."""
    keys = ESTIMATED if is_regression else CLASSIFIED
    if form == "csv":
        lines = ([_plain(row.get(key)) for key in keys] for row in rows)
        return _answer(csv_chunks(keys, lines), stem, form)
    return _answer(_json_chunks(keys, rows), stem, form)


def neighbours_file(found: Neighbourhood, *, k: int, stem: str, form: str) -> DownloadResponse:
    """The nearest `k` with all of their features; first, as rank 0, the row that was asked about."""
    table = neighbours_table(found, k=k)
    if form == "csv":
        return _answer(table.to_csv(), stem, form)
    return _answer(iter([json.dumps(table.to_json(), ensure_ascii=False, indent=1).encode()]), stem, form)


def neighbours_table(found: Neighbourhood, *, k: int) -> ResultTable:
    """What `neighbours_file` has. Features have their own names, with a number where one occurs before."""
    names = _different(found.feature_names)
    head = tuple(Column(key, key) for key in (*_NEIGHBOUR, *names))
    query = (0, None, found.true_label, found.query.number, *_cells(found.query.values, len(names)))
    lines = (
        (one.rank, one.distance, one.label, one.row, *_cells(one.values or [], len(names)))
        for one in found.neighbours[:k]
    )
    return ResultTable(head, tuple(tuple(map(Cell, line)) for line in (query, *lines)))


def _different(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    taken = set(_NEIGHBOUR)
    for place, name in enumerate(names, start=1):
        found.append(f"{name} ({place})" if name in taken else name)
        taken.add(found[-1])
    return found


def _cells(values: Sequence[str], n: int) -> list[str | None]:
    return [values[place] if place < len(values) else None for place in range(n)]


def _plain(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _json_chunks(keys: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """As `ResultTable.to_json` has it, a row at a time."""
    columns = json.dumps([{"key": key, "unit": None} for key in keys])
    texts = (json.dumps({key: row.get(key) for key in keys}, ensure_ascii=False) for row in rows)
    yield f'{{"columns": {columns}, "rows": ['.encode()
    first = next(texts, None)
    for text in chain([] if first is None else [f"\n{first}"], (f",\n{text}" for text in texts)):
        yield text.encode()
    yield b'\n], "marks": []}\n'


def _answer(chunks: Iterable[bytes], stem: str, form: str) -> DownloadResponse:
    content_type = "text/csv; charset=utf-8" if form == "csv" else "application/json"
    return DownloadResponse(chunks, filename=f"{stem}.{form}", content_type=content_type)
