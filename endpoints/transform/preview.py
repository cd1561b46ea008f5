"""What filters do to the first records, before anything is sent: for the form of a request. Pure, Django-free."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from endpoints.transform.failure import TransformFailed
from endpoints.transform.forms import RecordForm
from endpoints.transform.records import Record

ANSWER = "‹prediction›"


@dataclass(frozen=True)
class PreviewRow:
    """A record, what the model would get of it, and the line of the result; `error` where one of them cannot be."""

    record: str
    sent: str
    line: str
    error: str = ""


def preview_rows(form: RecordForm, records: Sequence[Record]) -> list[PreviewRow]:
    """The records treated as the transform would, with a stand-in for the model's answer."""
    return [_row(form, record, number) for number, record in enumerate(records, 1)]


def preview_cells(lines: Sequence[str]) -> list[list[str]]:
    """The lines cut into cells, where they are rows of CSV that are all equally wide; else nothing."""
    if not lines or lines[0].lstrip().startswith(("{", "[")):
        return []
    try:
        rows = [row for row in csv.reader(lines) if row]
    except csv.Error:
        return []
    return rows if len({len(row) for row in rows}) == 1 else []


def _row(form: RecordForm, record: Record, number: int) -> PreviewRow:
    shown = record.decode("utf-8", "replace") if isinstance(record, bytes) else ",".join(record)
    try:
        sent = form.sent(record, number).decode("utf-8", "replace")
    except TransformFailed as failed:
        return PreviewRow(shown, "", "", failed.message)
    return PreviewRow(shown, sent, _line(form, record, number))


def _line(form: RecordForm, record: Record, number: int) -> str:
    """The line, if it can be said before the model has answered: only its own answer has what a filter looks for."""
    if not form.joins:
        return ANSWER if form.output_filter.is_whole else f"{form.output_filter.text} of {ANSWER}"
    try:
        return form.line(record, ANSWER, number).decode("utf-8", "replace")
    except TransformFailed as failed:
        return failed.message
