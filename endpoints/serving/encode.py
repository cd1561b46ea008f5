"""Predictions to the body that `Accept` asks for: application/json, application/jsonlines, text/csv.

A prediction is a mapping of column name to an array with one entry per row, in the service's field names.
With `verbose=true` all columns are written, otherwise only the plain ones. Called by the model server.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endpoints.serving.answers import ModelFault, NotAcceptable
from endpoints.serving.decode import media_type_parse

Prediction = Mapping[str, NDArray[Any]]

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
RESPONSE_TYPES = (JSON, JSON_LINES)

_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Format:
    """How a prediction is written."""

    kind: str
    verbose: bool

    @property
    def content_type(self) -> bytes:
        return self.kind.encode()


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
            return Format(matches[0], verbose=parameters.get("verbose") == "true")
    shown = (accept or b"").decode("latin-1")[:200]
    raise NotAcceptable(f"Accept: {shown!r} cannot be produced; accepted are {', '.join(supported)}")


def encode(prediction: Prediction, columns: Collection[str], answer: Format) -> bytes:
    """The body for all rows of `prediction`.

    Args:
        columns: Names of the columns to write.

    Raises:
        ModelFault: The model's answer has NaN or infinity, which JSON cannot say.
    """
    values = {name: prediction[name].tolist() for name in columns}
    if answer.kind == CSV:
        return _csv(list(values.values()))
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    try:
        if answer.kind == JSON:
            return _dumps({"predictions": rows}).encode()
        return "".join(_dumps(row) + "\n" for row in rows).encode()
    except ValueError:
        raise _not_finite(prediction, columns) from None


def _csv(columns: list[list[Any]]) -> bytes:
    lines = (",".join(map(_csv_cell, row)) for row in zip(*columns, strict=True))
    return "".join(line + "\n" for line in lines).encode()


def _csv_cell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _not_finite(prediction: Prediction, columns: Collection[str]) -> ModelFault:
    for name in columns:
        bad = ~np.isfinite(prediction[name]).reshape(len(prediction[name]), -1).all(axis=1)
        if bad.any():
            message = (
                f"the model answered a {name} that is not a finite number for row {int(bad.argmax()) + 1}"
            )
            return ModelFault(message, original_status=500, original_message=message)
    return ModelFault(
        "the model's answer cannot be written as JSON", original_status=500, original_message=""
    )


def _quality(wish: tuple[str, dict[str, str]]) -> float:
    try:
        return float(wish[1].get("q", "1"))
    except ValueError:
        return 0.0


def _matches(wish: str, name: str) -> bool:
    return wish in (name, "*/*") or (wish.endswith("/*") and name.startswith(wish[:-1]))
