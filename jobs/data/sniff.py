"""Finds out what kind of file was uploaded: format, encoding, delimiter, and whether the first row names the
columns.

What the user has said is taken as said; only the rest is guessed. Called by `inspect`, in its own process.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlplatform.core.errors import DataError, InvalidRequest
from mlplatform.core.tabular.cells import number_cell, shown
from mlplatform.core.tabular.jsonlines import TOO_DEEP
from mlplatform.core.tabular.schema import EMPTY_FILE, MAX_CELL_BYTES, Format
from mlplatform.core.tabular.source import open_source
from mlplatform.core.text import text as _

HEAD_BYTES: Final = 256 * 1024
HEAD_RECORDS: Final = 200
DELIMITERS: Final = (",", "\t", ";")
ENCODINGS: Final = ("utf-8", "cp932", "euc_jp")
_CHUNK_BYTES = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_HALF_WIDTH_KATAKANA = re.compile("[\uff61-\uff9f]")
_KANA = re.compile("[\u3041-\u30f6]")
_FOREIGN: Final = {
    b"PK\x03\x04": _("is a ZIP archive or an Excel workbook; save the table as CSV"),
    b"\x89PNG": _("is an image"),
    b"\xff\xd8\xff": _("is an image"),
    b"%PDF": _("is a PDF document"),
    b"\xff\xfe": _("is UTF-16 text; save it as UTF-8"),
    b"\xfe\xff": _("is UTF-16 text; save it as UTF-8"),
    b"\xd0\xcf\x11\xe0": _("is an Excel workbook; save the table as CSV"),
}
_TAR: Final = _("is a tar archive; unpack it and upload the table in it")
_TAR_AT: Final = 257
_ACCEPTED = _("CSV, Parquet or JSON Lines is accepted")


@dataclass(frozen=True)
class Layout:
    """How to read a file. `guesses` says in words what was guessed, to be shown beside the preview."""

    format: Format
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    guesses: tuple[str, ...] = ()


def layout_sniff(
    path: Path,
    *,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Layout:
    """The layout of the file at `path`.

    Args:
        header, encoding, delimiter: What the user said; None is guessed.

    Raises:
        DataError: the file is empty, no text in an encoding we know, or no table at all.
        InvalidRequest: an encoding or delimiter that we do not know.
    """
    head = _head(path)
    if not head.strip():
        raise DataError(EMPTY_FILE)
    if head.startswith(b"PAR1"):
        return Layout("parquet")
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(_("the file {what}; {accepted}", what=what, accepted=_ACCEPTED))
    if b"\0" in head:
        if head[_TAR_AT:].startswith(b"ustar"):
            raise DataError(_("the file {what}; {accepted}", what=_TAR, accepted=_ACCEPTED))
        raise DataError(_("the file is binary; {accepted}", accepted=_ACCEPTED))
    if _is_json(head):
        return Layout("jsonlines")
    guesses: list[str] = []
    encoding = _known_encoding(encoding) if encoding else _encoding(path, guesses)
    records_of = _records(_text(head, encoding))
    delimiter = _known_delimiter(delimiter) if delimiter else _delimiter(records_of)
    header = _header(records_of(delimiter), guesses) if header is None else header
    return Layout("csv", encoding, delimiter, header, tuple(guesses))


def _head(path: Path) -> bytes:
    with open_source(path) as stream:
        return stream.read(HEAD_BYTES).removeprefix(_BOM)


def _is_json(head: bytes) -> bool:
    text = head.lstrip()
    if text[:1] == b"[":
        try:
            json.loads(text.partition(b"\n")[0])
        except ValueError:
            return False
        except RecursionError:
            raise DataError(_("is not JSON ({error})", error=TOO_DEEP)) from None
        raise DataError(_("the file is a JSON array; use JSON Lines, one object per line"))
    return text[:1] == b"{" and b'"' in text[:1000]


def _encoding(path: Path, guesses: list[str]) -> str:
    if _decodes(path, "utf-8"):
        return "utf-8"
    fitting = {name: text for name in ENCODINGS[1:] if (text := _sample_text(path, name)) is not None}
    if not fitting:
        raise DataError(_("the file is not text in UTF-8, CP932 (Shift_JIS) or EUC-JP; save it as UTF-8"))
    best = max(fitting, key=lambda name: _likeness(fitting[name]))
    guesses.append(_("The text is not UTF-8; it was read as {encoding}", encoding=_TITLES[best]))
    return best


_TITLES: Final = {"cp932": "CP932 (Shift_JIS)", "euc_jp": "EUC-JP"}


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_source(path) as stream:
        try:
            while data := stream.read(_CHUNK_BYTES):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _sample_text(path: Path, encoding: str) -> str | None:
    """The first thousands of characters beyond ASCII; None where the file does not decode."""
    decoder = codecs.getincrementaldecoder(encoding)()
    found = ""
    with open_source(path) as stream:
        try:
            while data := stream.read(_CHUNK_BYTES):
                text = decoder.decode(data)
                if len(found) < 10_000:
                    found += re.sub(r"[\x00-\x7f]+", "", text)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return None
    return found


def _likeness(text: str) -> float:
    """How much of the text is as Japanese is written: kana and kanji, and hardly any half-width katakana."""
    strange = len(_HALF_WIDTH_KATAKANA.findall(text))
    return (len(_KANA.findall(text)) - 2 * strange) / max(len(text), 1)


def _text(head: bytes, encoding: str) -> str:
    return head.decode(encoding, errors="replace")


class _records:
    """The first records of a text, for any delimiter."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, delimiter: str) -> list[list[str]]:
        csv.field_size_limit(max(MAX_CELL_BYTES, HEAD_BYTES))
        data = self._text
        if len(data) > HEAD_BYTES // 4:
            data = data[: data.rfind("\n") + 1] or data
        rows = csv.reader(io.StringIO(data, newline=""), delimiter=delimiter)
        return [record for record, _ in zip((row for row in rows if row), range(HEAD_RECORDS), strict=False)]


def _delimiter(records_of: _records) -> str:
    """The delimiter that cuts the most rows into the same number of fields, more than one."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        counts = Counter(len(record) for record in records_of(delimiter))
        width, n_rows = max(counts.items(), key=lambda item: (item[1], item[0]))
        score = (n_rows / counts.total(), width)
        if width > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _header(records: list[list[str]], guesses: list[str]) -> bool:
    """Names there are where no cell of the first row is a number and the names differ."""
    first = [cell.strip() for cell in records[0]]
    if any(not cell or _is_number(cell) for cell in first) or len(set(first)) < len(first):
        guesses.append(_("The first row was read as data: the columns are named c0, c1, …"))
        return False
    if len(records) > 1 and not any(_is_number(cell) for record in records[1:] for cell in record):
        guesses.append(
            _("The first row was read as the names of the columns, though no cell below is a number")
        )
    return True


def _is_number(cell: str) -> bool:
    try:
        return number_cell(cell) is not None
    except ValueError:
        return False


def _known_encoding(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except LookupError:
        found = ""
    if found == "shift_jis":
        return "cp932"
    if found in {*ENCODINGS, "ascii", "utf-8-sig", "iso8859-1", "cp1252"}:
        return "utf-8" if found in {"ascii", "utf-8-sig"} else found
    raise InvalidRequest.for_field(
        "encoding", _("{value} is not supported; use utf-8, cp932 or euc-jp", value=shown(name))
    )


def _known_delimiter(delimiter: str) -> str:
    delimiter = {"comma": ",", "tab": "\t", "\\t": "\t", "semicolon": ";"}.get(delimiter, delimiter)
    if delimiter in DELIMITERS:
        return delimiter
    raise InvalidRequest.for_field(
        "delimiter", _("{value} is not supported; use comma, tab or semicolon", value=shown(delimiter))
    )
