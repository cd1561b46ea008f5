"""The verbose answer of our own k-NN, read without making an object of every number. Knows one exact form and no other.

Most of such an answer are distances, which an evaluation has no use for. The text is cut at the places where this
form has its names; an answer that is not of this form to the byte is left to `answers.answer_read`, which takes any
JSON.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BEGIN: Final = b'{"predictions":['
_PREDICTION: Final = b'{"predicted_label":'
_NEXT: Final = b"}," + _PREDICTION
_DISTANCES: Final = b',"distances":['
_LABELS: Final = b'"labels":['
_END: Final = b"]}]}"
_CELL: Final = np.frombuffer(b"0.0,", np.uint8)


def verbose_read(body: bytes, n_rows: int) -> tuple[Floats, Floats] | None:
    """Predictions float32 [n] and neighbours' labels float32 [n, k]; None where the answer is of another form, not
    finite, or not of `n_rows` rows.
    """
    pieces = body.split(_LABELS)
    if len(pieces) != n_rows + 1 or not n_rows or not pieces[0].startswith(_BEGIN + _PREDICTION):
        return None
    # A piece ends the row before, but for the first: its labels, then the next row up to its labels.
    predictions, labels = [_prediction(pieces[0], len(_BEGIN + _PREDICTION))], []
    for piece in pieces[1:]:
        end = piece.find(b"]")
        labels.append(piece[:end])
        if len(labels) == n_rows:
            if piece[end:] != _END:
                return None
        elif piece.startswith(_NEXT, end + 1):
            predictions.append(_prediction(piece, end + 1 + len(_NEXT)))
        else:
            return None
    if None in predictions:
        return None
    own = _numbers(b"[%b]" % b",".join(filter(None, predictions)), 1)
    neighbours = _digits(labels) if own is not None else None
    if neighbours is None:
        neighbours = _numbers(b"[[%b]]" % b"],[".join(labels), 2)
    return None if own is None or neighbours is None else (own, neighbours)


def _prediction(piece: bytes, start: int) -> bytes | None:
    """The text of the prediction at `start`, if nothing but distances follows it."""
    end = piece.find(b",", start)
    if not piece.startswith(_DISTANCES, end) or piece.find(b"]", end) != len(piece) - 2 or piece[-1:] != b",":
        return None
    return piece[start:end]


def _digits(labels: list[bytes]) -> Floats | None:
    """Rows of as many labels from 0 to 9 as `digits_written` writes them; None where they are of another form."""
    width = len(labels[0]) + 1
    if width % len(_CELL) or any(len(row) + 1 != width for row in labels):
        return None
    cells = np.frombuffer(b",".join([*labels, b""]), np.uint8).reshape(len(labels), -1, len(_CELL))
    if not (cells[:, :, 1:] == _CELL[1:]).all():
        return None
    digits = cells[:, :, 0] - _CELL[0]  # what is no digit becomes more than 9
    return digits.astype(np.float32) if digits.max() <= 9 else None


def _numbers(text: bytes, n_dimensions: int) -> Floats | None:
    try:
        found = np.array(orjson.loads(text))
    except ValueError:  # no JSON, or rows of different lengths
        return None
    if found.dtype.kind not in "fiu" or found.ndim != n_dimensions or not found.size:
        return None
    with np.errstate(over="ignore"):
        narrow = found.astype(np.float32)
    return narrow if np.isfinite(narrow).all() else None
