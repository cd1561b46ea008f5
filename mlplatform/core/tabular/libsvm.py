"""Reads LibSVM text, `label index:value …` a line, in constant memory: sparse rows, made dense float32 batches.

An index is the position of a column as it stands, from 0, as XGBoost takes it: in a file that counts from 1 column 0 is
there and always absent. What a row leaves out is 0, or missing where the caller says so. A `#` begins a comment. Groups
(`qid:`) and weights (`label:weight`) are refused by name. Imports numpy only; called by job channels and model servers.

The good case is one regular expression and one conversion per batch of lines; only a bad batch is gone through again,
word by word, to name the row. Rows count from 1, and lines without a row do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.cells import NOT_A_NUMBER, NOT_FINITE, shown
from mlplatform.core.tabular.schema import EMPTY_FILE, MAX_COLUMNS, Batch
from mlplatform.core.text import text as _

SCAN_ROWS: Final = 10_000
_MAX_LINE_BYTES: Final = 16 * 1024 * 1024
_BATCH_BYTES: Final = 32 * 1024 * 1024
_NUMBER: Final = rb"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_MISSING: Final = rb"(?:nan|NaN|NAN)"
_PAIR: Final = rb"[0-9]++:(?:%b|%b)" % (_NUMBER, _MISSING)
_LINE: Final = rb"[ \t]*+%b(?:[ \t]++%b)*+[ \t]*+\n" % (_NUMBER, _PAIR)
_LINES: Final = re.compile(rb"(?:%b)*+" % _LINE)
_PAIRS_ONLY: Final = re.compile(rb"[ \t]*+%b(?:[ \t]++%b)*+[ \t]*+" % (_PAIR, _PAIR))
_ONE_NUMBER: Final = re.compile(_NUMBER)
_INDEX: Final = re.compile(rb"[0-9]+")
_COLON, _NEWLINE = ord(":"), ord("\n")
_COLON_TO_BLANK: Final = bytes.maketrans(b":", b" ")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SparseRows:
    """Rows as they stand in the text.

    Args:
        labels: float64 [n].
        rows, columns, values: int64 [m], int64 [m], float64 [m], row after row; a value may be NaN.
        first_row: Number of the first of them.
    """

    labels: NDArray[np.float64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    first_row: int

    @property
    def width(self) -> int:
        """One more than the largest index; 0 where there is none."""
        return int(self.columns.max()) + 1 if len(self.columns) else 0


def libsvm_width(stream: BinaryIO) -> int:
    """How many columns the largest index asks for; at least 1.

    Raises:
        DataError: with the row at fault; also for a file without rows.
    """
    width = 0
    for part in libsvm_rows(stream, SCAN_ROWS):
        width = max(width, part.width)
    return max(1, width)


def libsvm_batches(
    stream: BinaryIO, *, n_features: int, batch_rows: int = 5000, absent: float = 0.0
) -> Iterator[Batch]:
    """All rows, `batch_rows` at a time (fewer in the last batch, and of long ones).

    X float32 [n, n_features], y float32 [n].

    Args:
        absent: What a column has that a row leaves out: 0, or NaN, with which a value may be NaN too.

    Raises:
        DataError: with row and column where one is at fault; also for a file without rows.
    """
    for part in libsvm_rows(stream, batch_rows):
        with np.errstate(over="ignore"):
            y = part.labels.astype(np.float32)
        if np.isinf(y).any():
            at = int(np.flatnonzero(np.isinf(y))[0])
            raise _at(part.labels[at], "label", part.first_row + at, NOT_FINITE)
        yield Batch(dense(part, n_features=n_features, absent=absent), y, part.first_row)


def libsvm_rows(stream: BinaryIO, n_rows: int) -> Iterator[SparseRows]:
    """All rows, so many at a time, or fewer where they are long. Raises DataError as above."""
    lines, row = _lines(stream), 1
    while held := _some(lines, n_rows):
        yield rows_parse(held, first_row=row)
        row += len(held)
    if row == 1:
        raise DataError(EMPTY_FILE)


def rows_parse(lines: Sequence[bytes], *, first_row: int = 1) -> SparseRows:
    """Lines without comments, each of them a row and ended by a newline. Raises DataError with the row at fault."""
    text = b"".join(lines)
    if not _LINES.fullmatch(text):
        raise _fault(lines, first_row)
    numbers = np.fromstring(text.translate(_COLON_TO_BLANK), np.float64, sep=" ")
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE)
    n_pairs = np.diff(np.searchsorted(np.flatnonzero(characters == _COLON), ends), prepend=0)
    starts = np.concatenate(([0], np.cumsum(1 + 2 * n_pairs)[:-1]))
    pairs = np.delete(numbers, starts)
    rows = np.repeat(np.arange(len(lines)), n_pairs)
    indices = pairs[0::2]
    if len(indices) and indices.max() >= MAX_COLUMNS:
        at = int(indices.argmax())
        raise DataError(
            _(
                "index {index} is beyond the {limit} columns that a table may have",
                index=f"{indices[at]:.0f}",
                limit=f"{MAX_COLUMNS:,}",
            ),
            row=first_row + int(rows[at]),
            column=f"{indices[at]:.0f}",
        )
    columns = indices.astype(np.int64)
    _check_once(rows, columns, first_row)
    return SparseRows(numbers[starts], rows, columns, pairs[1::2], first_row)


def dense(part: SparseRows, *, n_features: int, absent: float) -> Floats:
    """The features as float32 [n, n_features]. Raises DataError for an index beyond, and a value that cannot be."""
    if part.width > n_features:
        at = int((part.columns >= n_features).argmax())
        raise DataError(
            _(
                "has index {index}; with {n} columns the largest is {largest}",
                index=int(part.columns[at]),
                n=n_features,
                largest=n_features - 1,
            ),
            row=part.first_row + int(part.rows[at]),
            column=str(part.columns[at]),
        )
    with np.errstate(over="ignore"):
        values = part.values.astype(np.float32)
    bad = np.isinf(values) if np.isnan(absent) else ~np.isfinite(values)
    if bad.any():
        at = int(bad.argmax())
        reason = NOT_A_NUMBER if np.isnan(part.values[at]) else NOT_FINITE
        raise _at(part.values[at], str(part.columns[at]), part.first_row + int(part.rows[at]), reason)
    X = np.full((len(part.labels), n_features), absent, np.float32)
    X[part.rows, part.columns] = values
    return X


def labels_add(lines: Sequence[bytes]) -> list[bytes]:
    """The lines with a label of 0 where all have none, as requests for a prediction may have it."""
    if all(_PAIRS_ONLY.fullmatch(line.rstrip(b"\n")) for line in lines):
        return [b"0 " + line for line in lines]
    return list(lines)


def lines_of(text: bytes) -> list[bytes]:
    """The lines of a whole text that are rows, without comments."""
    return [row for line in text.split(b"\n") if (row := _row(line))]


def _some(lines: Iterator[bytes], n_rows: int) -> list[bytes]:
    """The next lines, as many as are wanted and fit into the memory that a batch may take."""
    held: list[bytes] = []
    n_bytes = 0
    while len(held) < n_rows and n_bytes < _BATCH_BYTES and (line := next(lines, b"")):
        held.append(line)
        n_bytes += len(line)
    return held


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    n_rows = 0
    while line := stream.readline(_MAX_LINE_BYTES):
        if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise DataError(_("has more than {limit} bytes", limit=f"{_MAX_LINE_BYTES:,}"), row=n_rows + 1)
        if row := _row(line):
            n_rows += 1
            yield row


def _row(line: bytes) -> bytes:
    """The line without comment and with one newline; empty where nothing is left."""
    bare = (line.partition(b"#")[0] if b"#" in line else line).strip()
    return bare + b"\n" if bare else b""


def _check_once(rows: NDArray[np.int64], columns: NDArray[np.int64], first_row: int) -> None:
    """Raises DataError for a row that has an index twice. They need not be in order."""
    if len(columns) < 2 or ((np.diff(columns) > 0) | (np.diff(rows) > 0)).all():
        return
    order = np.lexsort((columns, rows))
    twice = (np.diff(columns[order]) == 0) & (np.diff(rows[order]) == 0)
    if twice.any():
        at = order[int(twice.argmax())]
        raise DataError(
            _("has index {index} more than once", index=int(columns[at])),
            row=first_row + int(rows[at]),
            column=str(columns[at]),
        )


def _fault(lines: Sequence[bytes], first_row: int) -> DataError:
    """What is wrong with the first bad line."""
    row, line = next((n, line) for n, line in enumerate(lines, first_row) if not _LINES.fullmatch(line))
    label, *pairs = line.split()
    if b":" in label:
        reason = _("is no label; a row is label index:value index:value …, and weights are not supported")
        return _word(label, row, "label", reason)
    if not _ONE_NUMBER.fullmatch(label):
        return _word(label, row, "label", _reason(label))
    for pair in pairs:
        index, colon, value = pair.partition(b":")
        if index == b"qid":
            return _word(pair, row, "qid", _("is a group of a ranking, which is not supported; leave it out"))
        if not colon or not _INDEX.fullmatch(index):
            return _word(pair, row, None, _("is not index:value with a whole number from 0 as index"))
        if not re.fullmatch(rb"%b|%b" % (_NUMBER, _MISSING), value):
            return _word(value, row, index.decode(), _reason(value))
    return DataError(_("cannot be read as label index:value …"), row=row)


def _reason(word: bytes) -> str:
    is_infinite = word.lstrip(b"+-").lower() in {b"inf", b"infinity"}
    return NOT_FINITE if is_infinite else NOT_A_NUMBER


def _word(word: bytes, row: int, column: str | None, reason: str) -> DataError:
    text = word.decode("utf-8", "replace")
    return DataError(
        _("{value} {reason}", value=shown(text), reason=reason), row=row, column=column, value=text
    )


def _at(value: float, column: str, row: int, reason: str) -> DataError:
    return _word(f"{value:g}".encode(), row, column, reason)
