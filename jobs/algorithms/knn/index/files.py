"""An index to and from its file, in faiss' own format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import faiss

_WRITE_BYTES: Final = 1024 * 1024
_KINDS: Final = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexIVFPQ, faiss.IndexHNSWFlat)


def index_read(path: Path) -> Any:
    """The index in a file. Raises ValueError when it is not one of ours or is damaged."""
    # faiss would allocate up to 1 TiB on a damaged header's word; nothing in a file exceeds the file.
    faiss.set_deserialization_vector_byte_limit(16 * path.stat().st_size + 65536)
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path.name} is not a readable faiss index: {error}") from None
    if not isinstance(index, _KINDS):
        raise ValueError(
            f"{path.name} is a {type(index).__name__}; Flat, IVFFlat, IVFPQ or HNSWFlat was expected"
        )
    return index


def index_write(index: Any, path: Path) -> None:
    """Writes the index through a file of ours: faiss' own only warns when the last piece finds no room."""
    refused: list[OSError] = []

    def take(piece: bytes) -> None:
        try:
            file.write(piece)
        except OSError as error:
            refused.append(error)
            raise

    with path.open("wb") as file:
        try:
            faiss.write_index(index, faiss.PyCallbackIOWriter(take, _WRITE_BYTES))  # type: ignore[attr-defined]
        except Exception:
            if refused:
                raise refused[0] from None
            raise
