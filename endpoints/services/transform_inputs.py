"""The objects of a batch transform, and in what portions a worker takes them. Called by its execution and checks."""

from __future__ import annotations

import itertools
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from endpoints.models import TransformJob
from endpoints.transform.spec import TransformInput
from mlplatform.core.names import uri_split
from mlplatform.core.storage.faults import JOB_FOLDER, storage_told
from mlplatform.core.storage.objects import object_store

OBJECTS_MAX: Final = 10_000
_PORTION_OBJECTS: Final = 100
_PORTION_BYTES: Final = 1024**3


@dataclass(frozen=True)
class TransformObject:
    """One object. `name` is its key below the prefix that was asked for."""

    uri: str
    name: str
    size_bytes: int


def transform_objects(*, uri: str, dataset: str = "") -> list[TransformObject]:
    """The object at `uri`, or those under it in the order of their keys; at most one more than is accepted.

    Args:
        dataset: `name@version`, where it is the data of one; the result is called after it.

    Raises:
        TransientError: the store is away.
    """
    store = object_store()
    _bucket, key = uri_split(uri)
    size = store.size(uri)
    if size is not None:
        name = dataset.partition("@")[0] or key.rpartition("/")[2]
        return [TransformObject(uri, name, size)]
    n_folder = len(key.rpartition("/")[0]) + 1 if "/" in key else 0
    found = [
        TransformObject(item.uri, uri_split(item.uri)[1][n_folder:], item.size_bytes)
        for item in itertools.islice(store.list(uri), OBJECTS_MAX + 1)
        if item.size_bytes > 0
    ]
    return sorted(found, key=lambda item: item.uri)


def portions(objects: Sequence[TransformObject]) -> Iterator[list[TransformObject]]:
    """The objects in order, so many at once as are fetched, sent and stored together."""
    portion: list[TransformObject] = []
    n_bytes = 0
    for item in objects:
        if portion and (len(portion) >= _PORTION_OBJECTS or n_bytes + item.size_bytes > _PORTION_BYTES):
            yield portion
            portion, n_bytes = [], 0
        portion.append(item)
        n_bytes += item.size_bytes
    if portion:
        yield portion


def portion_place(portion: Sequence[TransformObject], folder: Path) -> list[TransformInput]:
    """The portion as files that the job's process can read: those of the store where it is a folder, else copies.

    Raises:
        NotFound, TransientError, StorageFull.
    """
    return [
        TransformInput(
            data=str(_file(item, folder / f"data-{number}")),
            name=item.name,
            result=str(folder / f"result-{number}"),
            size_bytes=item.size_bytes,
        )
        for number, item in enumerate(portion)
    ]


def result_key(job: TransformJob, name: str = "") -> str:
    """Where the result of an attempt at an object lies: a key of the attempt's own, so that what a worker stores that
    lost its lease is not what a later attempt stored.
    """
    folder = f"transform-jobs/{job.uid}/{job.attempt}/output/"
    return f"{folder}{name}.out" if name else folder


def _file(item: TransformObject, path: Path) -> Path:
    store = object_store()
    local = store.local_path(item.uri)
    if local is None:
        store.download(item.uri, path, place=JOB_FOLDER)
        return path
    if local.is_file() and not local.stat().st_mode & stat.S_IROTH:
        with storage_told(JOB_FOLDER):
            shutil.copyfile(local, path)
        return path
    return local
