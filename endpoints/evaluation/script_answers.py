"""Answers of a model that a script serves: any list of numbers or labels is taken, as JSON or as lines of CSV.

`[..]`, `{"predictions": [..]}`, one value a line, or one line with a value for each row; a value may stand in a list of
its own, as models with one output write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from endpoints.evaluation.endpoint_client import NOT_ACCEPTABLE, EndpointClient, refusal
from endpoints.evaluation.failure import RunFailed

CSV: Final = "text/csv"
_MODEL_ERROR: Final = 424
_UNSUPPORTED: Final = 415


def accept_find(client: EndpointClient, body: bytes, *, first_row: int) -> None:
    """Finds out which of JSON and CSV the script writes, and has the client ask for that from now on.

    Raises:
        RunFailed: Neither; the answer to JSON is told.
    """
    answer = client.call(body)
    if answer.status == 200:
        return
    if (
        answer.status in (NOT_ACCEPTABLE, _MODEL_ERROR, _UNSUPPORTED)
        and client.call(body, accept=CSV).status == 200
    ):
        client.plain = CSV
        return
    raise RunFailed(refusal(answer, first_row))


def values_of(body: bytes, n_rows: int) -> list[Any] | None:
    """The value of each row; None where the body is no list of that length."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _of_lines(body, n_rows)
    if isinstance(content, dict):
        content = next((content[name] for name in ("predictions", "outputs") if name in content), None)
    if isinstance(content, int | float | str) and n_rows == 1:
        content = [content]
    if not isinstance(content, list):
        return None
    if len(content) == 1 and isinstance(content[0], list) and len(content[0]) == n_rows > 1:
        content = content[0]
    return [_single(one) for one in content] if len(content) == n_rows else None


def code_of(value: Any, labels: Mapping[str, int] | None) -> Any:
    """A label's code for its text, a number for a text that is one; anything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if labels and text in labels:
        return labels[text]
    try:
        return float(text)
    except ValueError:
        return value


def _of_lines(body: bytes, n_rows: int) -> list[Any] | None:
    try:
        lines = [line.strip() for line in body.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return None
    if len(lines) == 1 and n_rows > 1:
        lines = lines[0].split(",")
    if len(lines) != n_rows:
        return None
    return [line.strip().strip('"') for line in lines]


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
