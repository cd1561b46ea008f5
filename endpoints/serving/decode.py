"""Bodies of inference requests to rows of numbers: text/csv, application/json, application/jsonlines.

Called by the model server, on its hot path: one row of CSV must not cost more than some microseconds, so the
good case is checked as a whole and only a bad body is gone through again, cell by cell, to name the row and
the column. Rows count from 1 and columns from 0 in every message. NaN and infinity are refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mlplatform.core.errors import DataError, UnsupportedMediaType

Rows = NDArray[np.float32]
Decode = Callable[[bytes, int, dict[str, str]], Rows]

REQUEST_TYPES = ("text/csv", "application/json", "application/jsonlines")

_NUMBERS = frozenset((int, float))
_INSTANCE = '{"features": [..]}, {"data": {"features": {"values": [..]}}} or a list of numbers'


def decode(
    body: bytes, content_type: bytes | None, n_features: int, *, accepted: Collection[str] = REQUEST_TYPES
) -> Rows:
    """The rows of a request as float32 [n, n_features].

    Raises:
        DataError: With row and column where it applies: wrong number of columns, text, NaN, infinity, no
        rows. UnsupportedMediaType: The content type is none of those above.
    """
    kind, parameters = media_type_parse((content_type or b"").decode("latin-1"))
    if kind not in accepted or kind not in _DECODERS:
        raise UnsupportedMediaType(
            f"Content-Type: {kind[:100] or 'missing'!r} is not accepted; send one of {', '.join(accepted)}"
        )
    return _DECODERS[kind](body, n_features, parameters)


def media_type_parse(text: str) -> tuple[str, dict[str, str]]:
    """`text/csv; label_size=0` as its type and parameters, lower case."""
    if ";" not in text:
        return text.strip().lower(), {}
    kind, *rest = text.split(";")
    pairs = (item.partition("=") for item in rest)
    return kind.strip().lower(), {
        name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs
    }


def decode_csv(body: bytes, n_features: int, parameters: dict[str, str]) -> Rows:
    """Rows of numbers without a header. `label_size=k` says that the first k columns are labels: skipped."""
    n_labels = _label_size(parameters)
    if b'"' in body or n_labels:
        return _csv_by_cells(body, n_features, n_labels)
    lines = body.removeprefix(b"\xef\xbb\xbf").rstrip().replace(b"\r\n", b"\n").split(b"\n")
    n_commas = n_features - 1
    if any(line.count(b",") != n_commas for line in lines) or b"_" in body:
        return _csv_by_cells(body, n_features, 0)
    try:
        numbers = list(map(float, chain.from_iterable(line.split(b",") for line in lines)))
    except ValueError:
        return _csv_by_cells(body, n_features, 0)
    return _finite(np.array(numbers, dtype=np.float64).reshape(len(lines), n_features))


def decode_json(body: bytes, n_features: int, parameters: dict[str, str]) -> Rows:
    """`{"instances": [instance, ..]}`, or one instance alone."""
    content = _json(body, row=None)
    if isinstance(content, dict) and "instances" in content:
        instances = content["instances"]
        if not isinstance(instances, list):
            raise DataError(f"instances: {_shown(instances)} is not a list of {_INSTANCE}")
    elif isinstance(content, dict):
        instances = [content]
    else:
        raise DataError('the body must be {"instances": [..]} with one item for each row')
    return _from_instances(instances, n_features)


def decode_jsonlines(body: bytes, n_features: int, parameters: dict[str, str]) -> Rows:
    """One instance per line; empty lines are skipped."""
    lines = [line for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    return _from_instances([_json(line, row=i) for i, line in enumerate(lines, 1)], n_features)


_DECODERS: dict[str, Decode] = {
    "text/csv": decode_csv,
    "application/json": decode_json,
    "application/jsonlines": decode_jsonlines,
}


# ---- CSV


def _label_size(parameters: dict[str, str]) -> int:
    text = parameters.get("label_size", "0")
    if not (text.isascii() and text.isdigit()) or int(text) > 100:
        raise DataError(f"Content-Type: label_size={text!r} is not a whole number from 0 to 100")
    return int(text)


def _csv_by_cells(body: bytes, n_features: int, n_labels: int) -> Rows:
    """The thorough reading: understands quotes, and names the place of whatever is wrong."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the body is not UTF-8 at byte {error.start}", row=body.count(b"\n", 0, error.start) + 1
        ) from None
    rows: list[list[float]] = []
    try:
        for row, cells in enumerate(csv.reader(io.StringIO(text.rstrip(), newline=""), strict=True), 1):
            if len(cells) != n_features + n_labels:
                _wrong_width(len(cells), n_features + n_labels, row)
            rows.append([_cell(cell, row, i) for i, cell in enumerate(cells[n_labels:], n_labels)])
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", row=len(rows) + 1) from None
    if not rows:
        raise DataError(f"the body is empty; at least one row of {n_features} numbers is needed")
    return _finite(np.array(rows, dtype=np.float64), first_column=n_labels)


def _cell(text: str, row: int, column: int) -> float:
    stripped = text.strip()
    try:
        if stripped.isascii() and "_" not in stripped:
            return float(stripped)
    except ValueError:
        pass
    hint = " (rows are sent without a header)" if row == 1 else ""
    what = f"{_shown(text)} is not a number{hint}" if stripped else "is empty; a number is needed"
    raise DataError(what, row=row, column=str(column), value=text)


# ---- JSON


def _json(body: bytes, *, row: int | None) -> Any:
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        raise DataError("the body is not UTF-8", row=row) from None
    except (ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"not JSON: {what}", row=row) from None


def _from_instances(instances: Sequence[Any], n_features: int) -> Rows:
    if not instances:
        raise DataError("there are no instances; at least one is needed")
    rows = [_vector(instance, n_features, row) for row, instance in enumerate(instances, 1)]
    for row, vector in enumerate(rows, 1):
        if len(vector) != n_features:
            _wrong_width(len(vector), n_features, row)
        if not _NUMBERS.issuperset(map(type, vector)):
            _not_a_number(vector, row)
    try:
        return _finite(np.array(rows, dtype=np.float64))
    except OverflowError:
        raise DataError(
            f"a whole number is too large; at most {np.finfo(np.float32).max:g} is accepted"
        ) from None


def _vector(instance: Any, n_features: int, row: int) -> Sequence[Any]:
    if isinstance(instance, list):
        return instance
    features = None
    if isinstance(instance, dict):
        features = instance.get("features")
        if features is None and isinstance(instance.get("data"), dict):
            features = instance["data"].get("features")
    if isinstance(features, list):
        return features
    if isinstance(features, dict) and isinstance(features.get("values"), list):
        return _sparse(features, n_features, row) if "keys" in features else features["values"]
    raise DataError(f"{_shown(instance)} is not an instance; send {_INSTANCE}", row=row)


def _sparse(features: dict[str, Any], n_features: int, row: int) -> list[Any]:
    keys, values, shape = features["keys"], features["values"], features.get("shape", [n_features])
    if shape != [n_features]:
        raise DataError(f"shape is {_shown(shape)}; the model expects [{n_features}]", row=row)
    if not isinstance(keys, list) or len(keys) != len(values):
        raise DataError("keys and values must be lists of the same length", row=row)
    vector: list[Any] = [0.0] * n_features
    for key, value in zip(keys, values, strict=True):
        if type(key) is not int or not 0 <= key < n_features:
            raise DataError(f"key {_shown(key)} is not a column from 0 to {n_features - 1}", row=row)
        vector[key] = value
    return vector


def _not_a_number(vector: Sequence[Any], row: int) -> NoReturn:
    column = next(i for i, value in enumerate(vector) if type(value) not in _NUMBERS)
    value = "null" if vector[column] is None else json.dumps(vector[column], ensure_ascii=False)
    raise DataError(f"{_shown(value)} is not a number", row=row, column=str(column), value=value)


# ---- both


def _wrong_width(n_found: int, n_expected: int, row: int) -> NoReturn:
    raise DataError(f"has {n_found} columns; the model expects {n_expected}", row=row)


def _finite(X: NDArray[np.float64], *, first_column: int = 0) -> Rows:
    """As float32 [n, d]; refuses NaN, infinity and what float32 cannot hold, naming the first such cell."""
    with np.errstate(over="ignore"):
        narrow = X.astype(np.float32)
    good = np.isfinite(narrow)
    if good.all():
        return narrow
    row, column = (int(i) for i in np.argwhere(~good)[0])
    value = float(X[row, column])
    what = "is not finite" if not np.isfinite(value) else "is out of float32's range"
    raise DataError(
        f"{value} {what}; a finite number is needed",
        row=row + 1,
        column=str(column + first_column),
        value=str(value),
    )


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= 80 else text[:77] + "...")
