"""What is predicted for every k of every row, on the disk of the run's folder: a plane of n rows for each k. No scores.

Written a batch at a time, read a plane at a time; the memory it takes is the kernel's to give back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PLANES_MAX_BYTES: Final = 512 * 1024 * 1024


def planes_possible(n_rows: int, itemsize: int) -> int:
    """How many planes are kept at most."""
    return max(1, PLANES_MAX_BYTES // max(1, n_rows * itemsize))


class Planes:
    """[n_k, n_rows] of one type.

    Raises:
        OSError: The disk has no room for them.
    """

    def __init__(
        self, path: Path, *, n_k: int, n_rows: int, dtype: type[np.uint16] | type[np.float32]
    ) -> None:
        with path.open("wb") as file:  # room first: a mapped file that finds none ends the process
            os.posix_fallocate(file.fileno(), 0, n_k * n_rows * np.dtype(dtype).itemsize)
        self._array: NDArray[Any] = np.memmap(path, dtype=dtype, mode="r+", shape=(n_k, n_rows))

    def put(self, first: int, block: NDArray[Any]) -> None:
        """The predictions [n_k, n] of rows from `first` on, counted from 0."""
        self._array[:, first : first + block.shape[1]] = block

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, position: int) -> NDArray[Any]:
        plane: NDArray[Any] = self._array[position]
        return plane

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter(self._array)
