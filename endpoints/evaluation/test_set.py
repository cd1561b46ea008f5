"""The rows of an evaluation: read and checked once, then cut into the bodies of requests, in the table's order.

Read twice rather than kept: memory is that of the labels and of one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from endpoints.evaluation.columns import column_order, columns_check
from endpoints.evaluation.spec import EvaluationSpec
from mlplatform.core.tabular.read import read_batches
from mlplatform.core.tabular.schema import TableSchema

Floats = NDArray[np.float32]

BODY_MAX_BYTES: Final = 6 * 1024 * 1024
"""What an invocation may carry."""
NEIGHBOURS_MAX: Final = 2**20
"""In one answer: about 20 MB of JSON."""
ROWS_MAX: Final = 2**17
SINGLES_MAX_BYTES: Final = 32 * 1024 * 1024
_READ_ROWS: Final = 4096
_READ_CELLS: Final = 2**22
_CELL_BYTES: Final = 15


@dataclass(frozen=True)
class Portion:
    """What one request carries.

    Attributes:
        batch: The number of the batch that it is, or is a piece of, from 1.
        first_row: The number of its first row in the table, from 1.
    """

    batch: int
    first_row: int
    X: Floats
    body: bytes


class TestSet:
    """The table of a spec.

    Attributes:
        labels: float32 [n], NaN where a row has none; None for a table without labels.

    Raises:
        RunFailed: The model expects another number of columns.
        DataError: The table cannot be read.
    """

    __test__ = False  # no test, whatever pytest thinks of its name

    def __init__(self, spec: EvaluationSpec) -> None:
        self.schema = TableSchema.from_dict(spec.schema)
        columns_check(self.schema, spec.n_features)
        self._path = Path(spec.data)
        self._order = column_order(self.schema, spec.feature_names)
        labels: list[Floats] = []
        self.n_rows = self.n_features = 0
        self._read_rows = max(64, min(_READ_ROWS, _READ_CELLS // max(1, self.schema.n_features)))
        for batch in read_batches(self._path, self.schema, batch_rows=self._read_rows):
            self.n_rows, self.n_features = self.n_rows + len(batch.X), batch.X.shape[1]
            if batch.y is not None:
                labels.append(batch.y.copy())
        found = np.concatenate(labels) if labels else None
        self.labels = None if found is None or np.isnan(found).all() else found

    def batch_sizes(self, n_batches: int) -> list[int]:
        """Rows of each batch, as `numpy.array_split` cuts: equal but for one. No more batches than rows."""
        n = max(1, min(n_batches, self.n_rows))
        least, n_larger = divmod(self.n_rows, n)
        return [least + (position < n_larger) for position in range(n)]

    def portions(self, n_batches: int, *, n_neighbours: int = 0) -> Iterator[Portion]:
        """All rows, a batch at a time; one too large for a request or its answer in several pieces.

        Args:
            n_neighbours: That the endpoint answers per row.
        """
        most = (
            ROWS_MAX,
            NEIGHBOURS_MAX // max(n_neighbours, 1),
            BODY_MAX_BYTES // (2 * self.n_features or 1),
        )
        rows_max = max(1, min(most))
        sizes = self.batch_sizes(n_batches)
        pieces = [(number, piece) for number, size in enumerate(sizes, 1) for piece in _cut(size, rows_max)]
        first_row = 1
        for (number, _size), X in zip(pieces, self._carved([size for _, size in pieces]), strict=True):
            for part in _fitting(X):
                yield Portion(number, first_row, part, body_of(part))
                first_row += len(part)

    def first(self) -> Portion:
        """The first row alone."""
        X = next(self._carved([1]))
        return Portion(1, 1, X, body_of(X))

    def single_rows(self, n_single: int) -> list[int]:
        """Which rows, counted from 0, are sent one by one: spread evenly over the table, or all of it where it is
        small. They are taken again from the first when more calls are wanted.
        """
        n = min(n_single, self.n_rows, max(1, SINGLES_MAX_BYTES // (_CELL_BYTES * max(self.n_features, 1))))
        return [position * self.n_rows // n for position in range(n)]

    def _carved(self, sizes: Sequence[int]) -> Iterator[Floats]:
        """The features in pieces of these sizes, columns in the model's order."""
        held: list[Floats] = []
        wanted = iter(sizes)
        size, n_held = next(wanted), 0
        for batch in read_batches(self._path, self.schema, batch_rows=self._read_rows):
            held.append(batch.X if self._order is None else batch.X[:, self._order])
            n_held += len(batch.X)
            while n_held >= size > 0:
                X = np.concatenate(held)
                yield X[:size]
                held, n_held = [X[size:]], n_held - size
                size = next(wanted, 0)


def body_of(X: Floats) -> bytes:
    """Rows as CSV without header; numbers as short as float32 allows."""
    text = orjson.dumps(np.ascontiguousarray(X), option=orjson.OPT_SERIALIZE_NUMPY)
    rows = text[2:-2].replace(b"],[", b"\n").replace(b".0,", b",").replace(b".0\n", b"\n")
    return rows.replace(b"null", b"nan") if np.isnan(X).any() else rows


def _fitting(X: Floats) -> Iterator[Floats]:
    if len(X) > 1 and X.size * _CELL_BYTES > BODY_MAX_BYTES and len(body_of(X)) > BODY_MAX_BYTES:
        half = (len(X) + 1) // 2
        yield from _fitting(X[:half])
        yield from _fitting(X[half:])
    else:
        yield X


def _cut(size: int, most: int) -> list[int]:
    n = -(-size // most)
    least, n_larger = divmod(size, n)
    return [least + (position < n_larger) for position in range(n)]
