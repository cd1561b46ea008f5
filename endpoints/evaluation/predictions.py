"""predictions.bin: of every row its label and what is predicted for every k, in a form that needs no numpy to be read.

Eight bytes of magic, the length of the header (uint32, little-endian), the header in JSON, then numbers,
little-endian: the labels of all rows, and for each k the predictions of all rows. Classes are positions in the
header's list of labels. Written by an evaluation's process; read by pieces, wherever it lies, by the selector of
its rows.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any, Final, Protocol

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

MAGIC: Final = b"MLPEVAL1"
Read = Callable[[int, int], bytes]
"""Offset and number of bytes → those bytes, fewer only at the end."""

_HEADER_MAX_BYTES: Final = 16 * 1024 * 1024
_PIECE_ROWS: Final = 2**18
_TYPES: Final = {"u1": "B", "u2": "H", "f4": "f"}
_MISSING: Final = {"u1": 255, "u2": 65_535}


class _Plane(Protocol):
    """The numbers of all rows: an array of numpy."""

    def tobytes(self) -> bytes: ...


@dataclass(frozen=True)
class PredictionsHeader:
    """What is in the file.

    Attributes:
        k: Whose predictions it has, in that order; None for one prediction per row that is of no k.
        labels: Names of the classes; None for regression.
        dtype: u1 or u2, positions in `labels`; f4, values. A row without a label has 255, 65,535 or NaN for it.
        first_row: The number of the first row.
    """

    n_rows: int
    n_k: int
    k: tuple[int, ...] | None
    labels: tuple[str, ...] | None
    dtype: str
    first_row: int = 1


@dataclass(frozen=True)
class RowsFound:
    """Some rows of those that were asked for, and how many there are."""

    rows: list[dict[str, Any]]
    n_found: int


def dtype_for(n_labels: int) -> str:
    """The smaller of the two types whose largest number is free to mean that there is no label."""
    return "u1" if n_labels <= _MISSING["u1"] else "u2"


def predictions_write(
    path: Path, header: PredictionsHeader, labels: _Plane, predictions: Iterable[_Plane]
) -> None:
    """Writes the file; arrays are of the header's type, little-endian. Raises OSError."""
    text = json.dumps(asdict(header), ensure_ascii=False).encode()
    with path.open("wb") as file:
        file.write(MAGIC + len(text).to_bytes(4, "little") + text)
        file.write(labels.tobytes())
        for plane in predictions:
            file.write(plane.tobytes())


class Predictions:
    """An open file of predictions.

    Args:
        read: Gives a piece of it.

    Raises:
        ValueError: It is not such a file.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        start = read(0, len(MAGIC) + 4)
        length = int.from_bytes(start[len(MAGIC) :], "little")
        if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC) or length > _HEADER_MAX_BYTES:
            raise ValueError("no file of an evaluation's predictions")
        self._begin = len(start) + length
        self.header = _header(read(len(start), length))
        self._type = _TYPES[self.header.dtype]

    def rows(
        self,
        *,
        k: int | None = None,
        label: str | None = None,
        prediction: str | None = None,
        only_wrong: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> RowsFound:
        """Rows in order: {"row", "label", "prediction", "correct"}, the label null and "correct" null where a row
        has none; for regression numbers, and "error" is prediction - label. O(rows of the file) in time, not in
        memory.

        Args:
            k: One of the header's; the largest by default.
            label, prediction: Only rows with these names; of classes only.
            only_wrong: Only rows whose prediction is not the label; of classes only.

        Raises:
            InvalidRequest: The file does not have this k or these names.
            ValueError: It is damaged.
        """
        found, n_found = [], 0
        for numbers in self._matching(k, label, prediction, only_wrong):
            if offset <= n_found < offset + limit:
                found.append(self._shown(*numbers))
            n_found += 1
        return RowsFound(found, n_found)

    def every(
        self,
        *,
        k: int | None = None,
        label: str | None = None,
        prediction: str | None = None,
        only_wrong: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """All such rows, one after the other, in constant memory. Raises as `rows` does, for what is asked at once."""
        return (self._shown(*numbers) for numbers in self._matching(k, label, prediction, only_wrong))

    def _matching(
        self, k: int | None, label: str | None, prediction: str | None, only_wrong: bool
    ) -> Iterator[tuple[int, float, float]]:
        positions = self._position("label", label), self._position("prediction", prediction)
        wanted = _Wanted(*positions, only_wrong, self._missing)
        all_pairs = self._pairs(self._plane(k))
        return (pair for pair in all_pairs if self.header.labels is None or wanted.takes(*pair[1:]))

    @property
    def _missing(self) -> int | None:
        return _MISSING.get(self.header.dtype)

    def _plane(self, k: int | None) -> int:
        ks = self.header.k
        if k is None:
            return self.header.n_k - 1 if ks is None else ks.index(max(ks))
        if ks is None:
            raise InvalidRequest.for_field("k", _("the predictions of this evaluation are of no k"))
        if k not in ks:
            said = _(
                "{k} is not one of the k that there are predictions for, up to {last}", k=k, last=max(ks)
            )
            raise InvalidRequest.for_field("k", said)
        return ks.index(k)

    def _position(self, field: str, name: str | None) -> int | None:
        if name is None:
            return None
        if self.header.labels is None or name not in self.header.labels:
            raise InvalidRequest.for_field(field, _("“{name}” is not one of the labels", name=name[:80]))
        return self.header.labels.index(name)

    def _pairs(self, plane: int) -> Iterator[tuple[int, float, float]]:
        n = self.header.n_rows
        for start in range(0, n, _PIECE_ROWS):
            size = min(_PIECE_ROWS, n - start)
            labels, predictions = self._numbers(start, size), self._numbers((plane + 1) * n + start, size)
            yield from zip(
                range(self.header.first_row + start, self.header.first_row + start + size),
                labels,
                predictions,
                strict=True,
            )

    def _numbers(self, start: int, size: int) -> array[Any]:
        found = array(self._type)
        n_bytes = size * found.itemsize
        data = self._read(self._begin + start * found.itemsize, n_bytes)
        if len(data) != n_bytes:
            raise ValueError("the file of predictions ends early")
        found.frombytes(data)
        if sys.byteorder == "big":
            found.byteswap()
        return found

    def _shown(self, row: int, labelled: float, predicted: float) -> dict[str, Any]:
        if self.header.labels is None:
            label = None if isnan(labelled) else labelled
            error = None if label is None else predicted - label
            return {"row": row, "label": label, "prediction": predicted, "correct": None, "error": error}
        prediction = self._name(predicted)
        if labelled == self._missing:
            return {"row": row, "label": None, "prediction": prediction, "correct": None}
        correct = labelled == predicted
        return {"row": row, "label": self._name(labelled), "prediction": prediction, "correct": correct}

    def _name(self, position: float) -> str:
        names = self.header.labels or ()
        if position >= len(names):
            raise ValueError("a prediction is none of the labels")
        return names[int(position)]


@dataclass(frozen=True)
class _Wanted:
    """What rows are asked for, as positions of labels."""

    label: int | None
    prediction: int | None
    only_wrong: bool
    missing: int | None

    def takes(self, labelled: float, predicted: float) -> bool:
        if self.label is not None and labelled != self.label:
            return False
        if self.prediction is not None and predicted != self.prediction:
            return False
        return not self.only_wrong or labelled not in (predicted, self.missing)


def _header(text: bytes) -> PredictionsHeader:
    try:
        found = json.loads(text)
        ks, labels = found["k"], found["labels"]
        header = PredictionsHeader(
            n_rows=int(found["n_rows"]),
            n_k=int(found["n_k"]),
            k=None if ks is None else tuple(map(int, ks)),
            labels=None if labels is None else tuple(map(str, labels)),
            dtype=found["dtype"],
            first_row=int(found["first_row"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("the header of the predictions cannot be read") from error
    if header.dtype not in _TYPES or header.n_k != len(header.k or (None,)):
        raise ValueError("the header of the predictions contradicts itself")
    return header
