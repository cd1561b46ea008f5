"""Predictions to the body that `Accept` asks for: application/json, application/jsonlines, text/csv.

A prediction is a mapping of column name to an array with one entry per row, in the service's field names. With
`verbose=true` all columns are written, except those that are asked for by a parameter of their own, otherwise only the
plain ones. Called by the model server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from endpoints.serving.answers import ModelFault, NotAcceptable
from endpoints.serving.decode import media_type_parse
from endpoints.serving.digits import digits_written

Prediction = Mapping[str, NDArray[Any]]

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
RESPONSE_TYPES = (JSON, JSON_LINES)

DETAIL_COLUMNS = frozenset({"rows"})
"""Columns of a verbose prediction that few want and that take room: written where `Accept` has `<name>=true`."""


_TOP_KEYS = {"projection": "projections"}
"""By the first column of an answer; all others are predictions."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a prediction is written."""

    kind: str
    verbose: bool
    details: frozenset[str] = frozenset()

    @property
    def content_type(self) -> bytes:
        return self.kind.encode()

    def columns(self, prediction: Prediction, *, plain: Sequence[str]) -> Sequence[str]:
        """Names of the columns that are to be written; `plain` are those of an answer that is not verbose."""
        if not self.verbose:
            return plain
        return [name for name in prediction if name not in DETAIL_COLUMNS or name in self.details]


_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
_PLAIN_JSON = Format(JSON, verbose=False)


def format_choose(accept: bytes | None, supported: Collection[str] = RESPONSE_TYPES) -> Format:
    """The supported format that `Accept` likes best; JSON where it does not care.

    Raises:
        NotAcceptable: None of the supported ones is in it.
    """
    if (not accept or accept in (b"*/*", b"application/json")) and JSON in supported:
        return _PLAIN_JSON
    wishes = [media_type_parse(item) for item in (accept or b"*/*").decode("latin-1").split(",")]
    for kind, parameters in sorted(wishes, key=_quality, reverse=True):
        matches = [name for name in supported if _matches(kind, name)]
        if matches and _quality((kind, parameters)) > 0:
            details = frozenset(name for name in DETAIL_COLUMNS if parameters.get(name) == "true")
            return Format(matches[0], verbose=parameters.get("verbose") == "true", details=details)
    shown = (accept or b"").decode("latin-1")[:200]
    raise NotAcceptable(f"Accept: {shown!r} cannot be produced; accepted are {', '.join(supported)}")


def encode(prediction: Prediction, columns: Sequence[str], answer: Format) -> bytes:
    """The body for all rows of `prediction`. A float32 is written as the shortest text that gives it back.

    Args:
        columns: Names of the columns to write.

    Raises:
        ModelFault: The model's answer has NaN or infinity, which JSON cannot say.
    """
    if answer.kind == CSV:
        return _csv([prediction[name].tolist() for name in columns])
    values = [_values(name, prediction[name]) for name in columns]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
    try:
        if answer.kind == JSON:
            return orjson.dumps({_top_key(columns): rows}, option=orjson.OPT_SERIALIZE_NUMPY)
        return b"".join([orjson.dumps(row, option=_LINE) for row in rows])
    except TypeError as error:  # orjson's error is one
        message = f"the model's answer cannot be written as JSON: {error}"
        raise ModelFault(message, original_status=500, original_message=message) from None


def _top_key(columns: Sequence[str]) -> str:
    """What the service calls the list of all rows."""
    return _TOP_KEYS.get(next(iter(columns), ""), "predictions")


def _values(name: str, column: NDArray[Any]) -> Sequence[Any]:
    """One value or array of values per row, as orjson takes them. It would write what is not finite as null."""
    kind = column.dtype.kind
    if kind == "f" and not (isfinite(column.item()) if column.size == 1 else np.isfinite(column).all()):
        raise _not_finite(name, column)
    written = digits_written(column) if kind == "f" else None
    if written is not None:
        return written
    return list(np.ascontiguousarray(column)) if kind in "fiub" else list(column.tolist())


def _csv(columns: list[list[Any]]) -> bytes:
    lines = (",".join(map(_csv_cell, row)) for row in zip(*columns, strict=True))
    return "".join(line + "\n" for line in lines).encode()


def _csv_cell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _not_finite(name: str, column: NDArray[Any]) -> ModelFault:
    bad = ~np.isfinite(column).reshape(len(column), -1).all(axis=1)
    message = f"the model answered a {name} that is not a finite number for row {int(bad.argmax()) + 1}"
    return ModelFault(message, original_status=500, original_message=message)


def _quality(wish: tuple[str, dict[str, str]]) -> float:
    try:
        return float(wish[1].get("q", "1"))
    except ValueError:
        return 0.0


def _matches(wish: str, name: str) -> bool:
    return wish in (name, "*/*") or (wish.endswith("/*") and name.startswith(wish[:-1]))
