"""XGBoost's UBJSON, read: what `Booster.save_raw("ubj")` answers, as Python's values. Imports no library but numpy.

Of a tree's fifteen arrays nobody needs all; each is a view of the text, so that reading takes a fraction of what JSON
takes. The format: https://ubjson.org, with the typed arrays that XGBoost writes.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import Any, Final

import numpy as np

_NUMBERS: Final = {
    ord(letter): (Struct(f">{code}").unpack_from, np.dtype(f">{code}"))
    for letter, code in (("U", "B"), ("i", "b"), ("I", "h"), ("l", "i"), ("L", "q"), ("d", "f"), ("D", "d"))
}
_CONSTANTS: Final = {ord("T"): True, ord("F"): False, ord("Z"): None}
_OBJECT, _OBJECT_END, _ARRAY, _TYPED, _COUNTED, _STRING, _LONG = b"{}[$#SL"
_LONG_READ: Final = _NUMBERS[_LONG][0]


def ubjson_read(text: bytes) -> Any:
    """The value that a text is: typed arrays are read-only big-endian numpy arrays, others lists.

    Raises:
        ValueError: It is no UBJSON, or of kinds that XGBoost does not write.
    """
    try:
        found, end = _value(text, 0)
    except (IndexError, StructError, RecursionError) as error:
        raise ValueError(f"the text breaks off or is not UBJSON: {error}") from error
    if end != len(text):
        raise ValueError(f"after the value, at byte {end}, there is more")
    return found


def _value(text: bytes, at: int) -> tuple[Any, int]:
    """The value that begins at a byte, and where the next one does."""
    kind = text[at]
    if kind == _ARRAY:
        return _typed(text, at + 2) if text[at + 1] == _TYPED else _array(text, at + 1)
    if kind in _NUMBERS:
        form, dtype = _NUMBERS[kind]
        return form(text, at + 1)[0], at + 1 + dtype.itemsize
    if kind == _OBJECT:
        return _object(text, at + 1)
    if kind == _STRING:
        return _string(text, at + 1)
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], at + 1
    raise ValueError(f"at byte {at} is {text[at : at + 1]!r}, which begins no value")


def _length(text: bytes, at: int) -> tuple[int, int]:
    if text[at] != _LONG:
        raise ValueError(f"at byte {at} is {text[at : at + 1]!r}, where a length was expected")
    n = _LONG_READ(text, at + 1)[0]
    if not 0 <= n <= len(text):
        raise ValueError(f"at byte {at} is the length {n}, of {len(text)} bytes")
    return n, at + 9


def _string(text: bytes, at: int) -> tuple[str, int]:
    n, at = _length(text, at)
    return text[at : at + n].decode(), at + n


def _object(text: bytes, at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while text[at] != _OBJECT_END:
        n, at = _length(text, at)
        name = text[at : at + n].decode()
        found[name], at = _value(text, at + n)
    return found, at + 1


def _typed(text: bytes, at: int) -> tuple[Any, int]:
    kind = text[at]
    if kind not in _NUMBERS or text[at + 1] != _COUNTED:
        raise ValueError(f"at byte {at} begins an array of an unknown kind")
    n, at = _length(text, at + 2)
    dtype = _NUMBERS[kind][1]
    return np.frombuffer(text, dtype, n, at), at + n * dtype.itemsize


def _array(text: bytes, at: int) -> tuple[Any, int]:
    if text[at] != _COUNTED:
        raise ValueError(f"at byte {at} begins an array of unknown length")
    found: list[Any] = []
    n, at = _length(text, at + 1)
    for _ in range(n):
        one, at = _value(text, at)
        found.append(one)
    return found, at
