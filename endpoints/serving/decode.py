"""Bodies of inference requests to rows of numbers: text/csv, application/json, application/jsonlines, text/libsvm.

Called by the model server, on its hot path: one row of CSV must not cost more than some microseconds and a batch of
hundreds about one millisecond, so the good case is checked and parsed as a whole, and only a bad body is gone through
again, cell by cell, to name the row and the column. Rows count from 1 and columns from 0 in every message. Infinity is
refused, and so is NaN unless the model takes missing values.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Sequence
from math import nan
from typing import Any, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from endpoints.serving.decode_libsvm import decode_libsvm
from mlplatform.core.errors import DataError, UnsupportedMediaType

Rows = NDArray[np.float32]
Decode = Callable[[bytes, int, dict[str, str], bool], Rows]

REQUEST_TYPES = ("text/csv", "application/json", "application/jsonlines")

_NUMBERS = frozenset((int, float))
_NUMBERS_OR_NULL = _NUMBERS | {type(None)}
_OF_NUMBERS = b"0123456789+-.eE,\r\n \t"
_INSTANCE = '{"features": [..]}, {"data": {"features": {"values": [..]}}} or a list of numbers'


def decode(
    body: bytes,
    content_type: bytes | None,
    n_features: int,
    *,
    accepted: Collection[str] = REQUEST_TYPES,
    missing: bool = False,
) -> Rows:
    """The rows of a request as float32 [n, n_features].

    Args:
        missing: Whether an empty cell of CSV, null and NaN are missing values, which are NaN then.

    Raises:
        DataError: With row and column where it applies: wrong number of columns, text, NaN, infinity, no
        rows. UnsupportedMediaType: The content type is none of those above.
    """
    kind, parameters = media_type_parse((content_type or b"").decode("latin-1"))
    if kind not in accepted or kind not in _DECODERS:
        raise UnsupportedMediaType(
            f"Content-Type: {kind[:100] or 'missing'!r} is not accepted; send one of {', '.join(accepted)}"
        )
    try:
        return _DECODERS[kind](body, n_features, parameters, missing)
    except RecursionError:  # where a value that is nested nearly as deeply as can be read is to be shown
        raise DataError("not JSON: it is nested too deeply") from None


def media_type_parse(text: str) -> tuple[str, dict[str, str]]:
    """`text/csv; label_size=0` as its type and parameters, lower case."""
    if ";" not in text:
        return text.strip().lower(), {}
    kind, *rest = text.split(";")
    pairs = (item.partition("=") for item in rest)
    return kind.strip().lower(), {
        name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs
    }


def decode_csv(body: bytes, n_features: int, parameters: dict[str, str], missing: bool) -> Rows:
    """Rows of numbers without a header. `label_size=k` says that the first k columns are labels: skipped."""
    n_labels = _label_size(parameters) if parameters else 0
    X = None if n_labels else _csv_of_numbers(body.removeprefix(b"\xef\xbb\xbf").rstrip(), n_features)
    return _csv_by_cells(body, n_features, n_labels, missing) if X is None else X


def decode_json(body: bytes, n_features: int, parameters: dict[str, str], missing: bool) -> Rows:
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
    return _from_instances(instances, n_features, missing)


def decode_jsonlines(body: bytes, n_features: int, parameters: dict[str, str], missing: bool) -> Rows:
    """One instance per line; empty lines are skipped."""
    lines = [line for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    return _from_instances([_json(line, row=i) for i, line in enumerate(lines, 1)], n_features, missing)


_DECODERS: dict[str, Decode] = {
    "text/csv": decode_csv,
    "application/json": decode_json,
    "application/jsonlines": decode_jsonlines,
    "text/libsvm": decode_libsvm,
    "text/x-libsvm": decode_libsvm,
}


# ---- CSV


def _label_size(parameters: dict[str, str]) -> int:
    text = parameters.get("label_size", "0")
    if not (text.isascii() and text.isdigit()) or int(text) > 100:
        raise DataError(f"Content-Type: label_size={text!r} is not a whole number from 0 to 100")
    return int(text)


def _csv_of_numbers(text: bytes, n_features: int) -> Rows | None:
    """A table of nothing but numbers, all of its rows equally wide; None when it is anything else, or bad.

    With commas for its ends of lines such a table is what stands between the brackets of a JSON array, and is parsed as
    that where its numbers are written as JSON has them, which is several times faster than one number after the other.
    """
    if text.translate(None, _OF_NUMBERS) or not _is_regular(text, n_features):
        return None
    joined = text.replace(b"\n", b",")
    try:
        numbers = orjson.loads(b"[%b]" % joined)
    except ValueError:
        try:
            numbers = list(map(float, joined.split(b",")))
        except ValueError:
            return None
    return _finite(np.fromiter(numbers, np.float64, len(numbers)).reshape(-1, n_features))


def _is_regular(text: bytes, n_features: int) -> bool:
    """Whether every line has as many cells as there are features."""
    n_commas = n_features - 1
    if b"\n" not in text:
        return text.count(b",") == n_commas and text != b""
    return all(line.count(b",") == n_commas for line in text.split(b"\n"))


def _csv_by_cells(body: bytes, n_features: int, n_labels: int, missing: bool) -> Rows:
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
            rows.append([_cell(cell, row, i, missing) for i, cell in enumerate(cells[n_labels:], n_labels)])
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", row=len(rows) + 1) from None
    if not rows:
        raise DataError(f"the body is empty; at least one row of {n_features} numbers is needed")
    return _finite(np.array(rows, dtype=np.float64), first_column=n_labels, missing=missing)


def _cell(text: str, row: int, column: int, missing: bool) -> float:
    stripped = text.strip()
    if missing and not stripped:
        return nan
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
        return orjson.loads(body)
    except (
        orjson.JSONDecodeError
    ):  # NaN, UTF-16 and the like are no JSON, and what is wrong is better said below
        pass
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        raise DataError("the body is not UTF-8", row=row) from None
    except (ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"not JSON: {what}", row=row) from None


def _from_instances(instances: Sequence[Any], n_features: int, missing: bool) -> Rows:
    if not instances:
        raise DataError("there are no instances; at least one is needed")
    accepted = _NUMBERS_OR_NULL if missing else _NUMBERS
    rows = [_vector(instance, n_features, row) for row, instance in enumerate(instances, 1)]
    for row, vector in enumerate(rows, 1):
        if len(vector) != n_features:
            _wrong_width(len(vector), n_features, row)
        if not accepted.issuperset(map(type, vector)):
            _not_a_number(vector, row, accepted)
    try:
        return _finite(np.array(rows, dtype=np.float64), missing=missing)  # null becomes NaN
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


def _not_a_number(vector: Sequence[Any], row: int, accepted: Collection[type]) -> NoReturn:
    column = next(i for i, value in enumerate(vector) if type(value) not in accepted)
    value = "null" if vector[column] is None else json.dumps(vector[column], ensure_ascii=False)
    raise DataError(f"{_shown(value)} is not a number", row=row, column=str(column), value=value)


# ---- both


def _wrong_width(n_found: int, n_expected: int, row: int) -> NoReturn:
    raise DataError(f"has {n_found} columns; the model expects {n_expected}", row=row)


def _finite(X: NDArray[np.float64], *, first_column: int = 0, missing: bool = False) -> Rows:
    """As float32 [n, d]; refuses NaN unless `missing`, infinity and what float32 cannot hold, naming the first such
    cell.
    """
    with np.errstate(over="ignore"):
        narrow = X.astype(np.float32)
    good = ~np.isinf(narrow) if missing else np.isfinite(narrow)
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
