"""Unpacks `.tar.gz` archives that somebody else may have made. Django-free.

Regular files and folders only: no links, devices or sparse files, no path out of the target folder, limits on
count, size and compression ratio. Not a packer (that is `jobs.runner`). Called by hosts (models) and by services
that look into an artifact.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import IO, Self

from mlplatform.core.gzip_files import GZIP_DAMAGED, gzip_reading

_DAMAGED: tuple[type[Exception], ...] = (tarfile.TarError, UnicodeError, *GZIP_DAMAGED)
_CHUNK_BYTES = 1024 * 1024
_HEADER_LIMIT_BYTES = 64 * 1024
_RATIO_FREE_BYTES = 256 * 1024 * 1024
_LONG_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class ArchiveError(Exception):
    """The archive is damaged, or has something in it that is not accepted; the message names the entry."""


@dataclass(frozen=True)
class ArchiveLimits:
    """What is accepted of one archive; `ratio` counts only above the first 256 MiB of content."""

    n_entries: int = 10_000
    n_bytes: int = 64 * 1024**3
    ratio: float = 200.0
    path_bytes: int = 512
    depth: int = 32


class _GuardedInfo(tarfile.TarInfo):
    """Refuses headers whose content tarfile would read into memory whole, before it does."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        if info.type in _LONG_HEADERS and info.size > _HEADER_LIMIT_BYTES:
            raise ArchiveError(
                f"an extended header has {info.size} bytes; at most {_HEADER_LIMIT_BYTES} are accepted"
            )
        if info.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveError(f"{info.name[:200]!r} is a sparse file; only regular files are accepted")
        return info


def archive_unpack(archive: Path, target: Path, *, limits: ArchiveLimits | None = None) -> int:
    """Unpacks a `.tar.gz` into `target`, a new folder made here.

    Args:
        archive: The file, trusted in nothing.
        target: Must not exist; on error it may be left half filled, for the caller to remove.
        limits: What is accepted, the defaults of ArchiveLimits if None.

    Returns:
        Bytes written.

    Raises:
        ArchiveError: damaged, or an entry that is not accepted.
        OSError: the disk is full or not writable, or `target` exists.
    """
    limits = limits or ArchiveLimits()
    target.mkdir(mode=0o700, parents=True)
    budget = _Budget(limits, archive.stat().st_size)
    with _opened(archive) as (tar, unzipped):
        for member in tar:
            path = target / _safe_path(member, limits)
            budget.take_entry(member)
            try:
                _write(tar, member, path, budget)
            except (FileExistsError, IsADirectoryError, NotADirectoryError):
                raise ArchiveError(f"{member.name!r} is in the archive twice") from None
        _check_end(unzipped)
    return budget.n_bytes


def archive_read_file(archive: Path, name: str, *, limit_bytes: int) -> bytes | None:
    """The content of one regular file of a `.tar.gz`; None where there is none of that name.

    Raises:
        ArchiveError: damaged, or the file is longer than `limit_bytes`.
    """
    limits = ArchiveLimits()
    budget = _Budget(limits, archive.stat().st_size)
    with _opened(archive) as (tar, _):
        for member in tar:
            budget.take_entry(member)
            budget.take_bytes(member, member.size)
            if _safe_path(member, limits).as_posix() == name and member.isreg():
                if member.size > limit_bytes:
                    raise ArchiveError(f"{name} has {member.size} bytes; at most {limit_bytes} are accepted")
                return _content(tar, member).read(limit_bytes)
    return None


@dataclass(frozen=True)
class ArchiveContent:
    """The regular files of an archive by path with their sizes in bytes, and the content of those asked for."""

    sizes: dict[str, int]
    read: dict[str, bytes]


def archive_look(archive: Path, *, limits_bytes: Mapping[str, int]) -> ArchiveContent:
    """Goes through the whole of a `.tar.gz` without writing anything.

    Args:
        limits_bytes: Paths of the files to read, and how large each may be.

    Raises:
        ArchiveError: damaged, an entry that `archive_unpack` would refuse, or a file longer than its limit.
    """
    limits = ArchiveLimits()
    budget = _Budget(limits, archive.stat().st_size)
    found = ArchiveContent({}, {})
    with _opened(archive) as (tar, unzipped):
        for member in tar:
            budget.take_entry(member)
            budget.take_bytes(member, member.size)
            path = _safe_path(member, limits).as_posix()
            if not member.isreg():
                continue
            if path in found.sizes:
                raise ArchiveError(f"{member.name!r} is in the archive twice")
            found.sizes[path] = member.size
            if path in limits_bytes:
                if member.size > limits_bytes[path]:
                    raise ArchiveError(
                        f"{path} has {member.size} bytes; at most {limits_bytes[path]} are accepted"
                    )
                found.read[path] = _content(tar, member).read(member.size)
        _check_end(unzipped)
    return found


class _Budget:
    """Counts what has been unpacked against the limits."""

    def __init__(self, limits: ArchiveLimits, packed_bytes: int) -> None:
        self.n_entries = 0
        self.n_bytes = 0
        self._limits = limits
        self._ratio_bytes = max(_RATIO_FREE_BYTES, int(packed_bytes * limits.ratio))

    def take_entry(self, member: tarfile.TarInfo) -> None:
        self.n_entries += 1
        if self.n_entries > self._limits.n_entries:
            raise ArchiveError(f"more than {self._limits.n_entries} entries")

    def take_bytes(self, member: tarfile.TarInfo, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        if self.n_bytes > self._limits.n_bytes:
            raise ArchiveError(f"{member.name!r}: the content is larger than {self._limits.n_bytes} bytes")
        if self.n_bytes > self._ratio_bytes:
            raise ArchiveError(
                f"{member.name!r}: the content is over {self._limits.ratio:g} times the size of the archive"
            )


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[tarfile.TarFile, GzipFile]]:
    try:
        with (
            gzip_reading(archive) as unzipped,
            tarfile.open(fileobj=unzipped, mode="r|", tarinfo=_GuardedInfo) as tar,
        ):
            yield tar, unzipped
    except _DAMAGED as error:
        raise ArchiveError(f"not a complete .tar.gz archive: {error}") from error


def _check_end(unzipped: GzipFile) -> None:
    """Reads on to the checksum at the end, so that a damaged or cut archive is noticed."""
    for _ in range(64):
        if not unzipped.read(_CHUNK_BYTES):
            return
    raise ArchiveError("there is more behind the last entry than padding")


def _safe_path(member: tarfile.TarInfo, limits: ArchiveLimits) -> PurePosixPath:
    name = member.name
    shown = repr(name[:200])
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise ArchiveError(f"{shown} is a link or device; only regular files and folders are accepted")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise ArchiveError(f"{shown} leads out of the archive's own folder")
    if len(name.encode("utf-8", "surrogateescape")) > limits.path_bytes or len(path.parts) > limits.depth:
        raise ArchiveError(f"{shown}: the path is too long")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, budget: _Budget) -> None:
    if member.isdir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = _content(tar, member)
    with path.open("xb") as file:
        path.chmod(0o600)
        while chunk := content.read(_CHUNK_BYTES):
            budget.take_bytes(member, len(chunk))
            file.write(chunk)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise ArchiveError(f"{member.name!r} has no content")
    return content
