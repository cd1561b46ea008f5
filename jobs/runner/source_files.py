"""What may be the source code of a script, and its archive: `sourcedir.tar.gz`, the folder at its root. Django-free.

An archive is deterministic: the same files give the same bytes. Called by the source services, by workers that lay the
code out for a job, and by hosts that do so for a model.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.storage.archives import ArchiveError, ArchiveLimits, archive_unpack
from mlplatform.core.text import text as _

ARCHIVE: Final = "sourcedir.tar.gz"
FILES_MAX: Final = 1000
FILE_MAX_BYTES: Final = 16 * 1024**2
TOTAL_MAX_BYTES: Final = 64 * 1024**2
PATH_MAX_BYTES: Final = 240
DEPTH_MAX: Final = 16
_LIMITS: Final = ArchiveLimits(
    n_entries=2 * FILES_MAX, n_bytes=TOTAL_MAX_BYTES, ratio=200.0, path_bytes=PATH_MAX_BYTES, depth=DEPTH_MAX
)
_FILE_MODE: Final = 0o644
_PROGRAM_MODE: Final = 0o755


def source_files_check(files: Mapping[str, bytes], *, field: str = "files") -> dict[str, bytes]:
    """The files by their normalised paths, in order. Raises InvalidRequest with every file that is refused."""
    if not files:
        raise InvalidRequest.for_field(field, _("has no file; give at least the entry point"))
    errors = _size_errors([(path, len(content)) for path, content in files.items()], field)
    checked: dict[str, bytes] = {}
    for given, content in files.items():
        path = PurePosixPath(given).as_posix()
        reason = _refusal(given)
        if not reason and path in checked:
            reason = _("is given twice")
        if reason:
            errors.append(FieldError(f"{field}.{given[:80]}", reason))
        checked[path] = content
    errors += _files_that_are_folders(checked, field)
    if errors:
        raise InvalidRequest.for_fields(errors)
    return dict(sorted(checked.items()))


def source_sizes_check(sizes: Sequence[tuple[str, int]], *, field: str = "files") -> None:
    """Called before files are read into memory, with path and bytes of each. Raises InvalidRequest for too much."""
    errors = _size_errors(sizes, field)
    if errors:
        raise InvalidRequest.for_fields(errors)


def source_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of paths and contents, whatever archive they come in."""
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        digest.update(f"{len(path.encode())} {len(content)} {path}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def source_pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of files that `source_files_check` has passed."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = _PROGRAM_MODE if _is_program(path, content[:2]) else _FILE_MODE
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def source_unpack(archive: Path, folder: Path) -> int:
    """Lays the code out in a new folder; the number of its bytes. Shell scripts and files that begin with `#!` may be
    run.

    Raises:
        ArchiveError: Damaged, too large, or with a link or a path that leads out of it.
        OSError: The disk is full.
    """
    n_bytes = archive_unpack(archive, folder, limits=_LIMITS)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                path.chmod(0o700 if _is_program(path.name, file.read(2)) else 0o600)
    return n_bytes


def source_read(folder: Path) -> dict[str, bytes]:
    """All files of a folder by their paths in it."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def source_archive_read(archive: Path, scratch: Path, *, field: str = "archive") -> dict[str, bytes]:
    """The files of an archive that anybody may have made.

    Args:
        scratch: A folder that does not exist yet, for the caller to remove.

    Raises:
        InvalidRequest: It is none, or has something in it that is not accepted.
    """
    try:
        source_unpack(archive, scratch)
    except ArchiveError as error:
        raise InvalidRequest.for_field(
            field,
            _("is not accepted: {reason}; use a .tar.gz of regular files and folders", reason=str(error)),
        ) from None
    return source_read(scratch)


def entry_points(paths: Iterable[str]) -> list[str]:
    """Those of the paths that could be an entry point, the likely ones first."""
    likely = ("train.py", "main.py", "train.sh")
    found = [path for path in paths if path.endswith((".py", ".sh"))]
    return sorted(found, key=lambda path: (path not in likely, path.count("/"), path))


def _is_program(path: str, head: bytes) -> bool:
    return path.endswith(".sh") or head == b"#!"


def _size_errors(sizes: Sequence[tuple[str, int]], field: str) -> list[FieldError]:
    if len(sizes) > FILES_MAX:
        message = _("has {n} files; use at most {limit}", n=f"{len(sizes):,}", limit=f"{FILES_MAX:,}")
        return [FieldError(field, message)]
    errors = [
        FieldError(
            f"{field}.{path[:80]}",
            _(
                "has {n} bytes; use at most {limit} for one file, and a channel for data",
                n=f"{n_bytes:,}",
                limit=f"{FILE_MAX_BYTES:,}",
            ),
        )
        for path, n_bytes in sizes
        if n_bytes > FILE_MAX_BYTES
    ]
    total = sum(n_bytes for _path, n_bytes in sizes)
    if total > TOTAL_MAX_BYTES:
        message = _("has {n} bytes; use at most {limit}", n=f"{total:,}", limit=f"{TOTAL_MAX_BYTES:,}")
        errors.append(FieldError(field, message))
    return errors


def _refusal(path: str) -> str:
    """Why a file's path is not accepted, or an empty text."""
    pure = PurePosixPath(path)
    if not path.strip("/") or not pure.parts:
        return _("has no name")
    if pure.is_absolute() or ".." in pure.parts or "\\" in path:
        return _("leads out of the folder; use a path within it, such as lib/model.py")
    if not path.isprintable():
        return _("has a character in its name that cannot be printed")
    if len(path.encode("utf-8", "surrogatepass")) > PATH_MAX_BYTES or len(pure.parts) > DEPTH_MAX:
        return _("has a path that is too long; use at most {n} bytes", n=PATH_MAX_BYTES)
    return ""


def _files_that_are_folders(files: Mapping[str, bytes], field: str) -> list[FieldError]:
    folders = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents}
    return [
        FieldError(f"{field}.{path[:80]}", _("is both a file and a folder"))
        for path in files
        if path in folders
    ]
