"""CSV that a spreadsheet opens as it is meant: no text taken for a formula, no letters taken for others. Django-free.

Used by every download of a table that is not a dataset.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

BOM: Final = "\ufeff".encode()
"""Without it a spreadsheet takes Japanese for something else; programs that read UTF-8 do better without."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_chunks(header: Iterable[str], rows: Iterable[Iterable[Any]], *, bom: bool = True) -> Iterator[bytes]:
    """A CSV file, a piece per row: UTF-8, lines end CR LF."""
    if bom:
        yield BOM
    yield _line(header)
    for row in rows:
        yield _line(row)


def _line(cells: Iterable[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([_cell(cell) for cell in cells])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    """Numbers with all their digits, None as nothing, a mapping as JSON; text as no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
