"""Copies objects from one store to another, for backups and for moving house. Django-free; of `manage.py objects`.

Objects never change, so what is there with the same size is there already: a second run copies what is new. Nothing is
ever deleted.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlplatform.core.storage.store import ObjectStore


@dataclass(frozen=True)
class Mirrored:
    """How many objects the source has, and what of them was copied now."""

    n_objects: int
    n_copied: int
    bytes_copied: int


def mirror(source: ObjectStore, target: ObjectStore) -> Mirrored:
    """Copies what the target lacks, one object at a time, each through a file of the temporary folder.

    Raises:
        NotFound: An object went while it was copied; TransientError: a store is away; StorageFull: a disk is full.
    """
    there = {item.uri: item.size_bytes for item in target.everything()}
    n_objects = n_copied = bytes_copied = 0
    with tempfile.TemporaryDirectory(prefix="mlplatform-objects-") as folder:
        path = Path(folder) / "object"
        for item in source.everything():
            n_objects += 1
            if there.get(item.uri) != item.size_bytes:
                source.download(item.uri, path)
                target.put_file(path, item.uri)
                n_copied, bytes_copied = n_copied + 1, bytes_copied + item.size_bytes
    return Mirrored(n_objects, n_copied, bytes_copied)
