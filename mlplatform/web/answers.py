"""An endpoint's answer as the try-it panel shows it: predictions with their labels and neighbours, or the error and its
place. Pure; called by the view.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ROWS_MAX = 50
NEIGHBOURS_MAX = 25


@dataclass(frozen=True)
class Neighbour:
    distance: float
    label: str


@dataclass(frozen=True)
class Predicted:
    """One row: the predicted label in words, and its neighbours, nearest first, if the answer is verbose."""

    row: int
    label: str
    neighbours: list[Neighbour] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """`text` is the body as it came, JSON laid out; `rows` at most 50 of `n_rows`."""

    text: str
    rows: list[Predicted] = field(default_factory=list)
    n_rows: int = 0
    message: str = ""
    row: int | None = None
    column: str = ""


def answer_of(
    *, status: int, body: bytes, labels: Sequence[str] | None = None, feature_names: Sequence[str] = ()
) -> Answer:
    """What a body says.

    Args:
        labels: text of each predicted code, where the training data had text labels.
        feature_names: names of the model's columns, to name a wrong one by.
    """
    text = body.decode("utf-8", "replace")
    values = _values(text)
    if values is None:
        return Answer(text=text, message=text[:500] if status >= 400 else "")
    shown = "\n".join(json.dumps(value, indent=2, ensure_ascii=False) for value in values)
    if status >= 400:
        return _error(shown, values[0] if values else None, feature_names)
    predictions = _predictions(values)
    rows = [_predicted(n, one, labels) for n, one in enumerate(predictions[:ROWS_MAX], start=1)]
    return Answer(text=shown, rows=rows, n_rows=len(predictions))


def _values(text: str) -> list[Any] | None:
    """The JSON value of the body, or those of its lines; None where it is neither."""
    try:
        return [json.loads(text)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return None


def _predictions(values: list[Any]) -> list[dict[str, Any]]:
    first = values[0] if values else None
    found = first.get("predictions") if isinstance(first, dict) and "predictions" in first else values
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict) and ("predicted_label" in one or _is_number(one))]


def _is_number(one: dict[str, Any]) -> bool:
    """Whether it is the answer of what predicts a number."""
    return isinstance(one.get("score"), int | float)


def _predicted(row: int, one: dict[str, Any], labels: Sequence[str] | None) -> Predicted:
    pairs = zip(_numbers(one.get("distances")), _numbers(one.get("labels")), strict=False)
    neighbours = [Neighbour(distance, _label(code, labels)) for distance, code in pairs]
    return Predicted(
        row, _label(one.get("predicted_label", one.get("score")), labels), neighbours[:NEIGHBOURS_MAX]
    )


def _numbers(value: Any) -> list[float]:
    return [one for one in value if isinstance(one, int | float)] if isinstance(value, list) else []


def _label(code: Any, labels: Sequence[str] | None) -> str:
    if labels and isinstance(code, int | float) and code == int(code) and 0 <= int(code) < len(labels):
        return labels[int(code)]
    return f"{code:g}" if isinstance(code, float) else str(code)


def _error(shown: str, value: Any, feature_names: Sequence[str]) -> Answer:
    said = value if isinstance(value, dict) else {}
    message = said.get("OriginalMessage") or said.get("message") or ""
    row, column = said.get("row"), said.get("column")
    return Answer(
        text=shown,
        message=str(message),
        row=row if isinstance(row, int) else None,
        column=_column_name(column, feature_names),
    )


def _column_name(column: Any, feature_names: Sequence[str]) -> str:
    """The feature's name for a position from 0; a body without a header has only positions."""
    text = "" if column is None else str(column)
    if text.isdecimal() and int(text) < len(feature_names):
        return f"{feature_names[int(text)]} ({text})"
    return text
