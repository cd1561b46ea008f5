"""Where bytes wait until they are known to be a dataset: a folder of its own under `<data dir>/tmp`, gone
afterwards.

Called by the dataset services only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from django.conf import settings
from django.utils.translation import gettext as _

from mlplatform.core.errors import InvalidRequest, TooLarge
from mlplatform.core.keeping.disk_room import disk_room_check
from mlplatform.core.storage.faults import DATA_DIR, storage_told
from mlplatform.core.tabular.schema import EMPTY_FILE

CHUNK_BYTES: Final = 1024 * 1024
_PREFIX = "dataset-"


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


Upload = Readable | Iterable[bytes]
"""An open file, Django's uploaded file, or pieces of bytes."""


@contextmanager
def staging_folder(*, n_bytes: int = 0) -> Iterator[Path]:
    """A fresh private folder; the sweep of leftovers removes that of a process that was killed.

    Args:
        n_bytes: About how much is going to be written, where that is known.

    Raises:
        InsufficientStorage: the disk is, or would be, below its floor.
    """
    disk_room_check(n_bytes=n_bytes)
    parent = Path(settings.DATA_DIR) / "tmp"
    with storage_told(DATA_DIR):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def upload_receive(upload: Upload, path: Path, *, field: str = "file") -> None:
    """Writes the upload to `path`, piece by piece; one that Django has on disk already is linked, not copied.

    Raises:
        TooLarge: over `MLPLATFORM_UPLOAD_LIMIT_BYTES`.
        InvalidRequest: it is empty.
    """
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    if not _linked(upload, path):
        pieces_write(_pieces(upload), path, limit)
    size = path.stat().st_size
    if size > limit:
        raise too_large(limit)
    if size == 0:
        raise InvalidRequest.for_field(field, EMPTY_FILE)


def pieces_write(pieces: Iterable[bytes], path: Path, limit: int) -> None:
    """Writes pieces until they end.

    Raises:
        TooLarge: as soon as they are more than `limit` bytes.
        InsufficientStorage: as soon as the disk is below its floor; StorageFull when it is full.
    """
    size = 0
    with storage_told(DATA_DIR), path.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            disk_room_check(n_bytes=len(piece))
            file.write(piece)


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        _("The file is larger than %(limit)s bytes, the most that may be uploaded") % {"limit": f"{limit:,}"}
    )


def _linked(upload: Upload, path: Path) -> bool:
    where = getattr(upload, "temporary_file_path", None)
    if where is None:
        return False
    try:
        os.link(where(), path)
    except OSError:
        return False
    return True


def _pieces(upload: Upload) -> Iterable[bytes]:
    chunks = getattr(upload, "chunks", None)
    if chunks is not None:
        pieces: Iterable[bytes] = chunks(CHUNK_BYTES)
        return pieces
    read = getattr(upload, "read", None)
    if read is not None:
        return iter(lambda: read(CHUNK_BYTES), b"")
    assert isinstance(upload, Iterable)
    return upload
