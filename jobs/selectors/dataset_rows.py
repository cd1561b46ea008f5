"""A few rows of a dataset version by their numbers, read by a process of their own and kept a while.

Versions never change, so what was read stays true. Called by the inspection of neighbours.
"""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from django.conf import settings

from jobs.data.process import file_rows
from jobs.models import DatasetVersion
from mlplatform.core.errors import NotFound, Throttled
from mlplatform.core.storage.objects import object_store
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

KEPT_CELLS: Final = 400_000
"""Of all versions together, in this process: about 40 MB."""
AT_ONCE: Final = 2
WAIT_S: Final = 15.0
_places = threading.BoundedSemaphore(AT_ONCE)
Key = tuple[str, int]


class _Kept:
    """Rows read before, the ones asked for last; safe for threads."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Key, list[str]] = OrderedDict()
        self._n_cells = 0
        self._lock = threading.Lock()

    def find(self, uid: str, numbers: Iterable[int]) -> dict[int, list[str]]:
        with self._lock:
            found = {number: self._rows[uid, number] for number in numbers if (uid, number) in self._rows}
            for number in found:
                self._rows.move_to_end((uid, number))
            return found

    def keep(self, uid: str, rows: dict[int, list[str]]) -> None:
        with self._lock:
            for number, cells in rows.items():
                self._n_cells += len(cells) - len(self._rows.pop((uid, number), ()))
                self._rows[uid, number] = cells
            while self._n_cells > KEPT_CELLS:
                self._n_cells -= len(self._rows.popitem(last=False)[1])


_kept = _Kept()


def dataset_rows(*, version: DatasetVersion, numbers: Sequence[int]) -> dict[int, list[str]]:
    """Number (from 1) → the row's cells as texts, the label's too; a number beyond the last row is left out.

    Raises:
        DataError: the file cannot be read, or not within 20 s.
        NotFound, TransientError: the store does not have it, or is away.
        Throttled: too many are reading rows right now.
    """
    known = _kept.find(version.uid, numbers)
    missing = [number for number in numbers if number not in known and 1 <= number <= version.n_rows]
    if not missing:
        return known
    if not _places.acquire(timeout=WAIT_S):
        raise Throttled(_("Too many people are reading rows of datasets right now; try again in a moment"))
    try:
        read = _read(version, missing)
    finally:
        _places.release()
    _kept.keep(version.uid, read)
    return known | read


def _read(version: DatasetVersion, numbers: Sequence[int]) -> dict[int, list[str]]:
    schema = TableSchema.from_dict(version.schema)
    local = object_store().local_path(version.uri)
    if local is not None:
        if not local.is_file():
            raise NotFound(_("The data of {name} is no longer in the store", name=str(version)))
        return file_rows(local, schema, numbers)
    with tempfile.TemporaryDirectory(prefix="rows-", dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder) / "data"
        object_store().download(version.uri, path)
        return file_rows(path, schema, numbers)
