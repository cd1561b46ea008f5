"""The inference toolkit's default `input_fn` and `output_fn`: bodies to arrays and back, whatever the framework.

text/csv, application/json, application/jsonlines and application/x-npy both ways, and text/libsvm in. Text becomes
float32; rows stay rows, so that one row of CSV is an array of one row. A missing value is NaN.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from endpoints.serving.answers import ModelFault, ValidationError
from endpoints.serving.decode import decode_csv, media_type_parse
from mlplatform.core.errors import DataError, UnsupportedMediaType

CSV, JSON, JSON_LINES, NPY = "text/csv", "application/json", "application/jsonlines", "application/x-npy"
LIBSVM: Final = ("text/libsvm", "text/x-libsvm")
INPUT_TYPES: Final = (CSV, JSON, JSON_LINES, NPY)
OUTPUT_TYPES: Final = (JSON, CSV, NPY, JSON_LINES)
_COLUMNS_MAX: Final = 2**24
_ENCODED: Final = orjson.OPT_SERIALIZE_NUMPY
Array = NDArray[Any]


def body_decode(data: bytes, content_type: str, *, libsvm: bool = False) -> Array:
    """The body as an array, float32 but for npy, which says its own type.

    Args:
        libsvm: Whether LibSVM is taken too.

    Raises:
        UnsupportedMediaType: none of the content types above.
        ValidationError: a body that is not what it says it is.
    """
    kind, parameters = media_type_parse(content_type)
    accepted = (*INPUT_TYPES, *(LIBSVM if libsvm else ()))
    if kind not in accepted:
        raise UnsupportedMediaType(
            f"Content-Type: {kind[:100] or 'missing'!r} is not accepted; send one of {', '.join(accepted)}"
        )
    try:
        return _DECODERS[kind](bytes(data), parameters)
    except DataError as error:
        raise ValidationError.of_data(error) from None
    except RecursionError:
        raise ValidationError("not JSON: it is nested too deeply") from None


def body_encode(prediction: Any, kind: str) -> bytes:
    """What a model predicted as a body of a kind of OUTPUT_TYPES.

    Args:
        prediction: An array, or what makes one: a list, a table, a number; for JSON a dict of those as well.

    Raises:
        ModelFault: It cannot be written so.
    """
    if isinstance(prediction, Mapping):
        return _object(prediction, kind)
    array = array_of(prediction)
    try:
        match kind:
            case "text/csv":
                return _csv(array)
            case "application/x-npy":
                return _npy(array)
            case "application/jsonlines":
                return b"".join(_json(row) + b"\n" for row in np.atleast_1d(array))
        return _json(array)
    except (TypeError, ValueError) as error:
        raise _unwritable(prediction, kind, str(error)) from error


def array_of(prediction: Any) -> Array:
    """Raises ModelFault for what is no array: None, or what has no values."""
    if prediction is None:
        raise _unwritable(prediction, "body", "there is nothing to write")
    dense = prediction.toarray() if hasattr(prediction, "toarray") else prediction  # a sparse matrix
    try:
        return np.asarray(dense)
    except (TypeError, ValueError) as error:
        raise _unwritable(prediction, "body", str(error)) from error


# ---- in


def _csv_rows(data: bytes, parameters: dict[str, str]) -> Array:
    first = data.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    n_labels = int(parameters["label_size"]) if parameters.get("label_size", "").isdecimal() else 0
    return decode_csv(data, max(first.count(b",") + 1 - n_labels, 0), parameters, True)


def _json_rows(data: bytes, parameters: dict[str, str]) -> Array:
    return _numbers(_parsed(data))


def _lines_rows(data: bytes, parameters: dict[str, str]) -> Array:
    return _numbers([_features(_parsed(line)) for line in data.splitlines() if line.strip()])


def _npy_rows(data: bytes, parameters: dict[str, str]) -> Array:
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))  # what is pickled runs code
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"not a .npy file of numbers: {error}") from None


def _libsvm_rows(data: bytes, parameters: dict[str, str]) -> Array:
    """`label index:value ...` per line, the label optional; what is not there is NaN."""
    rows = [_pairs(line, row) for row, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not rows:
        raise DataError("the body is empty; at least one row is needed")
    width = max((max(pairs, default=-1) for pairs in rows), default=-1) + 1
    if width * len(rows) > _COLUMNS_MAX:
        raise DataError(f"{len(rows)} rows of {width} columns are more than {_COLUMNS_MAX} values")
    X = np.full((len(rows), width), nan, np.float32)
    for row, pairs in enumerate(rows):
        X[row, list(pairs)] = list(pairs.values())
    return X


def _pairs(line: bytes, row: int) -> dict[int, float]:
    words = line.split(b"#")[0].split()
    pairs = words[1:] if words and b":" not in words[0] else words
    try:
        found = {int(name): float(value) for name, _, value in (word.partition(b":") for word in pairs)}
    except ValueError:
        raise DataError("is not LibSVM; write index:value pairs after the label", row=row) from None
    if any(not 0 <= name < _COLUMNS_MAX for name in found):
        raise DataError(f"has an index that is not from 0 to {_COLUMNS_MAX - 1}", row=row)
    return found


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not JSON: {error}") from None


def _numbers(content: Any) -> Array:
    """A list of rows, one row, or {"instances": [..]} or {"inputs": ..} with rows in it."""
    if isinstance(content, dict):
        content = content.get("instances", content.get("inputs", content.get("features")))
        if content is None:
            raise DataError(
                'the body must be a list of rows, or {"instances": [..]} with one item for each row'
            )
    if isinstance(content, list):
        content = [_features(one) for one in content]
    try:
        found = np.array(content, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(f"the rows are not numbers in as many columns each: {error}") from None
    if not found.size:
        raise DataError("there are no rows; at least one is needed")
    return found.reshape(1, -1) if found.ndim < 2 else found


def _features(one: Any) -> Any:
    return one["features"] if isinstance(one, dict) and "features" in one else one


_DECODERS: Final[Mapping[str, Callable[[bytes, dict[str, str]], Array]]] = {
    CSV: _csv_rows,
    JSON: _json_rows,
    JSON_LINES: _lines_rows,
    NPY: _npy_rows,
    **dict.fromkeys(LIBSVM, _libsvm_rows),
}


# ---- out


def _object(prediction: Mapping[Any, Any], kind: str) -> bytes:
    if kind != JSON:
        raise _unwritable(prediction, kind, f"only {JSON} has names for values")
    content = {str(name): _plain(array_of(value)) for name, value in prediction.items()}
    try:
        return orjson.dumps(content, option=_ENCODED)
    except TypeError as error:
        raise _unwritable(prediction, kind, str(error)) from error


def _json(array: Array) -> bytes:
    return orjson.dumps(_plain(np.asarray(array)), option=_ENCODED)


def _plain(array: Array) -> Any:
    """As orjson writes it; what is not finite, which JSON cannot say, is an error and not null."""
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise _unwritable(array, JSON, "a value is not a finite number")
        if not array.ndim:
            return array[()]
        # orjson writes float16 to float64, and a float32 as the shortest text that gives it back.
        return np.asarray(array, np.float64 if array.dtype.itemsize > 8 else None, order="C")
    return np.asarray(array, order="C") if array.ndim and array.dtype.kind in "iub" else array.tolist()


def _csv(array: Array) -> bytes:
    rows: Sequence[Any] = np.atleast_1d(array).tolist() if array.dtype.kind != "f" else _shortest(array)
    return "".join(f"{_line(row)}\n" for row in rows).encode()


def _shortest(array: Array) -> Sequence[Any]:
    """Floats as Python's, whose shortest text gives the float32 back."""
    flat = np.atleast_1d(array)
    found: list[Any] = (flat.astype(str) if flat.dtype.itemsize < 8 else flat).tolist()
    return found


def _line(row: Any) -> str:
    return ",".join(map(str, row)) if isinstance(row, list) else str(row)


def _npy(array: Array) -> bytes:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=False)
    return written.getvalue()


def _unwritable(prediction: Any, kind: str, why: str) -> ModelFault:
    message = f"the model's answer, a {type(prediction).__name__}, cannot be written as {kind}: {why}"
    return ModelFault(message, original_status=500, original_message=message)
