"""Cuts the answer to several records into one answer for each. Pure, Django-free."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson

from endpoints.transform.failure import Fault, TransformFailed
from endpoints.transform.forms import Cells
from endpoints.transform.spec import CSV, JSON, JSON_LINES, media_type_of
from mlplatform.core.text import text as _


def answers_of(body: bytes, content_type: str, n_records: int, first: int, *, parsed: bool) -> list[Any]:
    """One answer per record, in order.

    Args:
        first: Number of the first record.
        parsed: Whether they are joined or filtered; otherwise lines stay as they are.

    Returns:
        `Cells` of CSV, values of JSON, or bytes.

    Raises:
        TransformFailed: There are more or fewer answers than records, or they are not what their type says.
    """
    media_type = media_type_of(content_type)
    if media_type == CSV:
        found: list[Any] = _csv(body) if parsed else _lines(body)
    elif media_type == JSON_LINES:
        found = [_json(line) for line in _lines(body)] if parsed else _lines(body)
    elif media_type == JSON:
        found = _of_json(_json(body), n_records)
    elif n_records == 1:
        found = [body.rstrip(b"\r\n") if b"\n" not in body.rstrip(b"\r\n") else body]
    else:
        found = _lines(body)
    if len(found) == n_records:
        return found
    last = first + n_records - 1
    raise TransformFailed(
        _(
            "records {first} to {last}: the model answered {n} lines of {type} to {wanted} records; choose the "
            "strategy SingleRecord, or another content type to accept",
            first=first,
            last=last,
            n=len(found),
            type=media_type or "?",
            wanted=n_records,
        ),
        fault=Fault.MODEL,
        record=first,
    )


def _lines(body: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in body.split(b"\n") if line.strip()]


def _csv(body: bytes) -> list[Any]:
    text = io.StringIO(body.decode("utf-8-sig", "replace"), newline="")
    try:
        return [Cells(row) for row in csv.reader(text) if row]
    except csv.Error as error:
        raise _unreadable(CSV, error) from None


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise _unreadable(JSON, error) from None


def _of_json(value: Any, n_records: int) -> list[Any]:
    """`{"predictions": [...]}` or a list has an item per record; anything else is the answer to one."""
    items = value
    if isinstance(value, dict) and len(value) == 1:
        items = next(iter(value.values()))
    if isinstance(items, list) and len(items) == n_records:
        return items
    return [value] if n_records == 1 else list(items) if isinstance(items, list) else [value]


def _unreadable(media_type: str, error: Exception) -> TransformFailed:
    said = _(
        "the model's answer is not the {type} that it says it is: {error}",
        type=media_type,
        error=str(error)[:200],
    )
    return TransformFailed(said, fault=Fault.MODEL)
