"""Packs what a job left in its model folder into `model.tar.gz` with our `manifest.json`. Django-free.

The archive is deterministic: on processors of one kind the same files give the same bytes. Only regular files go in;
links, pipes and devices are left out and named. Called by the worker when the job's processes are gone, so that nothing
changes underneath.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlplatform.core.gzip_files import gzip_writing
from mlplatform.core.storage.archives import ArchiveLimits

MANIFEST: Final = "manifest.json"
MANIFEST_VERSION: Final = 1
OUTPUT_DATA: Final = "data"
"""Of the output folder: what is packed beside the model."""
_COPY_BYTES: Final = 1024 * 1024
_LIMITS: Final = ArchiveLimits()


@dataclass(frozen=True)
class Packed:
    """The archive written, its manifest, and the paths left out because they are no regular files, or too deep or long
    for whoever unpacks it.
    """

    path: Path
    manifest: dict[str, Any]
    left_out: tuple[str, ...]


def model_pack(*, model_dir: Path, archive: Path, facts: Mapping[str, Any]) -> Packed:
    """Writes `archive`.

    Args:
        facts: What the manifest says beside its files: algorithm, versions, feature and label names, label
            mapping, and what the algorithm itself says.

    Raises:
        OSError: a file cannot be read, or the disk is full; what was written of the archive is removed then.
    """
    files, left_out = _scan(model_dir)
    manifest = {
        **facts,
        "manifest_version": MANIFEST_VERSION,
        "files": {name: _described(model_dir / name) for name in files},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()
    try:
        _write(archive, text, model_dir, files)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    return Packed(archive, manifest, left_out)


def output_pack(*, output_dir: Path, archive: Path) -> Packed | None:
    """Packs what a job left in `data` of its output folder into `archive`, without a manifest; None where there is no
    file, or a link in the place of either folder.

    Raises:
        OSError: a file cannot be read, or the disk is full; what was written of the archive is removed then.
    """
    data_dir = output_dir / OUTPUT_DATA
    files, left_out = ([], ()) if output_dir.is_symlink() else _scan(data_dir, manifest="")
    if not files:
        return None
    try:
        _write(archive, None, data_dir, files)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    return Packed(archive, {}, left_out)


def model_has_file(model_dir: Path) -> bool:
    """Whether `model_pack` would find anything to pack."""
    return bool(_scan(model_dir)[0])


def _write(archive: Path, manifest: bytes | None, model_dir: Path, files: list[str]) -> None:
    with (
        archive.open("wb") as raw,
        gzip_writing(raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.copybufsize = _COPY_BYTES  # type: ignore[attr-defined]
        if manifest is not None:
            tar.addfile(_entry(MANIFEST, len(manifest)), io.BytesIO(manifest))
        for name in files:
            with _open_regular(model_dir / name) as file:
                tar.addfile(_entry(name, os.fstat(file.fileno()).st_size), file)


def _scan(model_dir: Path, *, manifest: str = MANIFEST) -> tuple[list[str], tuple[str, ...]]:
    """Names of regular files in order, and of what is something else, be it the folder itself. A manifest of the
    job's own gives way to ours.
    """
    files: list[str] = []
    left_out: list[str] = []
    if model_dir.is_symlink() or not model_dir.is_dir():
        return [], ((model_dir.name,) if os.path.lexists(model_dir) else ())
    for path in _walk(model_dir):
        name = path.relative_to(model_dir).as_posix()
        regular = stat.S_ISREG(path.lstat().st_mode) and name != manifest and _can_be_named(name)
        (files if regular else left_out).append(name)
    return sorted(files), tuple(sorted(left_out))


def _walk(folder: Path, depth: int = 1) -> Iterator[Path]:
    """Everything that is no folder, and folders that are too deep to go into."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth < _LIMITS.depth:
                yield from _walk(Path(entry.path), depth + 1)
            else:
                yield Path(entry.path)


def _can_be_named(name: str) -> bool:
    """File names that are no UTF-8 cannot stand in a manifest, and who unpacks takes none that is too long."""
    try:
        return len(name.encode()) <= _LIMITS.path_bytes
    except UnicodeEncodeError:
        return False


def _described(path: Path) -> dict[str, Any]:
    with _open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"sha256": digest.hexdigest(), "size_bytes": file.tell()}


def _open_regular(path: Path) -> io.BufferedReader:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    return io.BufferedReader(io.FileIO(descriptor, "rb"), _COPY_BYTES)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    return entry
