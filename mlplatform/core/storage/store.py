"""The object store: every file that outlives a process, addressed as `s3://bucket/key`. Django-free.

A folder on this machine (`file:///path`) or an S3-compatible store (`s3://…`), carried by obstore. A write becomes
visible whole or not at all: in a folder it is staged beside its place under a name that no reader sees, brought to the
disk with its folder (so that what a row refers to survives a power cut) and renamed. Paths on disk are private to this
module, but for `local_path`, by which a job reads its channel without a copy where the store is a folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url
from obstore.store import ObjectStore as Backend

from mlplatform.core.env import env_text
from mlplatform.core.errors import NotFound, TransientError
from mlplatform.core.names import uri_split
from mlplatform.core.storage.faults import DATA_DIR, STORE, storage_fault, storage_told
from mlplatform.core.storage.refused import store_refused
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    from obstore.store import S3Config

CHUNK_BYTES = 1024 * 1024
STAGED_SUFFIX = ".part"
"""How the name of a file ends that is being written; it begins with a dot. A process that was killed leaves one."""
_STAGED = re.compile(r"\.[0-9a-f]{16}\.part")
"""Exactly what we write: a user's own `.data.part` in a folder is an object like any other."""
_TRIES = 3


@dataclass(frozen=True)
class StoredObject:
    """An object as written: its address, size and the SHA-256 of its content in hexadecimal."""

    uri: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class KeptObject:
    """An object as found in the store. `changed_at` is when it came to this address, in seconds since the epoch."""

    uri: str
    size_bytes: int
    changed_at: float


class ObjectStore:
    """Files under `s3://bucket/key`.

    Args:
        url: `file:///folder` or `s3://bucket[/prefix]`; one real bucket holds all of ours, as prefixes.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = _folder_of(url)
        self._backend: Backend = _backend(url, self._root)

    def put_file(self, path: Path, uri: str, *, move: bool = False) -> StoredObject:
        """Stores the file's content at `uri`, replacing what was there.

        Args:
            move: the caller gives the file away; on the same disk it is then renamed and not copied.

        Raises:
            TransientError: the store is away; StorageFull, StorageReadOnly: its disk takes nothing.
            OSError: there is no such file, or it is a link or a pipe: who left it may not see what it leads to.
        """
        digest, size = _digest(path)
        try:
            if self._root is None:
                obstore.put(self._backend, self._key(uri), path)
            else:
                self._put_local(self._local(uri), lambda staged: _bring(path, staged, move=move))
        except (BaseError, OSError) as error:
            raise _not_taken(uri, error) from error
        if move:
            path.unlink(missing_ok=True)
        return StoredObject(uri, size, digest)

    def put_bytes(self, data: bytes, uri: str) -> StoredObject:
        """Stores `data` at `uri`, replacing what was there. Raises as `put_file`."""
        try:
            if self._root is None:
                obstore.put(self._backend, self._key(uri), data)
            else:
                self._put_local(self._local(uri), lambda staged: _write(data, staged))
        except (BaseError, OSError) as error:
            raise _not_taken(uri, error) from error
        return StoredObject(uri, len(data), hashlib.sha256(data).hexdigest())

    def get_bytes(self, uri: str) -> bytes:
        """The whole content; for small objects. Raises NotFound, TransientError."""
        return b"".join(self.chunks(uri))

    def chunks(self, uri: str) -> Iterator[bytes]:
        """The content in pieces of about a megabyte. Raises NotFound, TransientError."""
        try:
            for chunk in obstore.get(self._backend, self._key(uri)).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except FileNotFoundError:
            raise NotFound(f"There is no object {uri}") from None
        except (BaseError, OSError) as error:
            raise _not_given(uri, error) from error

    def piece(self, uri: str, *, offset: int, size_bytes: int) -> bytes:
        """So many bytes from `offset` on, fewer where the object ends. Raises NotFound, TransientError."""
        try:
            end = min(offset + size_bytes, int(obstore.head(self._backend, self._key(uri))["size"]))
            if end <= offset:
                return b""
            return bytes(obstore.get_range(self._backend, self._key(uri), start=offset, end=end))
        except FileNotFoundError:
            raise NotFound(f"There is no object {uri}") from None
        except (BaseError, OSError) as error:
            raise _not_given(uri, error) from error

    def download(self, uri: str, path: Path, *, place: Text = DATA_DIR) -> None:
        """Writes the object to `path`, on the disk of `place`. Raises NotFound, TransientError, StorageFull."""
        with storage_told(place), path.open("wb") as file:
            for chunk in self.chunks(uri):
                file.write(chunk)

    def copy(self, source_uri: str, uri: str) -> None:
        """Makes `uri` the same content without moving bytes through here (a hard link where the store is a folder).

        Raises:
            NotFound; and as `put_file`.
        """
        try:
            if self._root is None:
                obstore.copy(self._backend, self._key(source_uri), self._key(uri))
            else:
                self._copy_local(self._local(source_uri), self._local(uri))
        except FileNotFoundError:
            raise NotFound(f"There is no object {source_uri}") from None
        except (BaseError, OSError) as error:
            reason = _(
                "The object store could not copy {uri}: {reason}", uri=source_uri, reason=_reason(error)
            )
            raise _fault(error, reason) from error

    def size(self, uri: str) -> int | None:
        """Bytes of the object, or None where there is none. Raises TransientError."""
        try:
            return int(obstore.head(self._backend, self._key(uri))["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            if self._is_below_a_file(uri):
                return None
            reason = _reason(error, reads=True)
            raise TransientError(
                _("The object store could not look for {uri}: {reason}", uri=uri, reason=reason)
            ) from error

    def delete(self, uris: Iterable[str]) -> None:
        """Deletes objects; one that is not there is no error. Raises TransientError."""
        for uri in uris:
            try:
                obstore.delete(self._backend, self._key(uri))
            except FileNotFoundError:
                continue
            except (BaseError, OSError) as error:
                if self._is_below_a_file(uri):
                    continue
                reason = _(
                    "The object store could not delete {uri}: {reason}", uri=uri, reason=_reason(error)
                )
                raise _fault(error, reason) from error

    def list(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Objects below `s3://bucket/prefix`, without digests. What is being written is not among them."""
        if self._is_below_a_file(prefix_uri):
            return
        bucket, prefix = uri_split(prefix_uri)
        yield from self._listed(f"{bucket}/{prefix}")

    def everything(self) -> Iterator[StoredObject]:
        """Every object of the store, without digests, in no order."""
        yield from self._listed()

    def _listed(self, prefix: str | None = None) -> Iterator[StoredObject]:
        for batch in obstore.list(self._backend, prefix=prefix):
            for item in batch:
                if not is_staged(Path(item["path"]).name):
                    yield StoredObject(f"s3://{item['path']}", int(item["size"]), "")

    def walk(self, prefix_uri: str) -> Iterator[KeptObject]:
        """Objects below the folder `s3://bucket/prefix`, in no order, with when they came there; in constant memory.

        Raises:
            TransientError: the store is away.
        """
        bucket, prefix = uri_split(prefix_uri)
        try:
            if self._root is not None:
                yield from _walk_folder(self._root, self._root / bucket / prefix)
                return
            for batch in obstore.list(self._backend, prefix=f"{bucket}/{prefix}"):
                for item in batch:
                    at = item["last_modified"].timestamp()
                    yield KeptObject(f"s3://{item['path']}", int(item["size"]), at)
        except (BaseError, OSError) as error:
            reason = _(
                "The object store could not list {uri}: {reason}",
                uri=prefix_uri,
                reason=_reason(error, reads=True),
            )
            raise TransientError(reason) from error

    @property
    def is_folder(self) -> bool:
        """Whether the store is a folder of this machine, where looking and deleting cost next to nothing."""
        return self._root is not None

    @property
    def folder(self) -> Path | None:
        """That folder, for what cares for its disk: how full it is, and files whose writer died."""
        return self._root

    def local_path(self, uri: str) -> Path | None:
        """The object as a file on this machine, to be read and never written; None where the store is remote."""
        return None if self._root is None else self._local(uri)

    def _key(self, uri: str) -> str:
        bucket, key = uri_split(uri)
        return f"{bucket}/{key}"

    def _local(self, uri: str) -> Path:
        assert self._root is not None
        return self._root / self._key(uri)

    def _is_below_a_file(self, uri: str) -> bool:
        """Whether a folder store has a file where the address needs a folder: there is nothing at such an address."""
        return self._root is not None and any(
            (self._root / folder).is_file() for folder in Path(self._key(uri)).parents
        )

    def _copy_local(self, source: Path, target: Path) -> None:
        if not source.is_file():
            raise FileNotFoundError(source)
        self._put_local(target, lambda staged: _bring(source, staged, move=True))

    def _put_local(self, target: Path, stage: Callable[[Path], object]) -> None:
        """Stages the content, brings it and its folder to the disk, and only then gives it its name."""
        staged = target.with_name(f".{os.urandom(8).hex()}{STAGED_SUFFIX}")
        try:
            for remaining in reversed(range(_TRIES)):
                try:
                    _folder_make(target.parent)
                    stage(staged)
                    break
                except FileNotFoundError:  # a deletion beside us removed the folder, which was empty
                    if not remaining:
                        raise
            _sync(staged)
            staged.rename(target)
            _sync(target.parent)
        finally:
            _unlink_quietly(staged)


def is_staged(name: str) -> bool:
    """Whether a file of this name is one that is being written, or was when its writer died."""
    return _STAGED.fullmatch(name) is not None


def _walk_folder(root: Path, folder: Path) -> Iterator[KeptObject]:
    for path, status in files_below(folder):
        if not is_staged(path.name):
            key = path.relative_to(root).as_posix()
            # A link keeps the time of its bytes; when it came to its name is the time of the last change to it.
            yield KeptObject(f"s3://{key}", status.st_size, max(status.st_mtime, status.st_ctime))


def files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files below a folder with their status, one after the other; what vanishes meanwhile is left out."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    yield from files_below(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def s3_config() -> S3Config:
    """What a store takes from files that `AWS_…_FILE` name; the rest it reads from the environment itself."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    found = {name.lower(): env_text(name) for name in names if os.environ.get(f"{name}_FILE")}
    return cast("S3Config", found)


def _backend(url: str, root: Path | None) -> Backend:
    if root is None:
        return from_url(url, config=s3_config())
    with storage_told(STORE):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(root, automatic_cleanup=True)


def _digest(path: Path) -> tuple[str, int]:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


def _bring(path: Path, staged: Path, *, move: bool) -> None:
    """The file's content as `staged`: a second name of the same file where it is given away, else a copy."""
    if move:
        with contextlib.suppress(OSError):
            staged.hardlink_to(path)
            return
    shutil.copyfile(path, staged)


def _write(data: bytes, staged: Path) -> None:
    with staged.open("xb") as file:
        file.write(data)


def _folder_make(folder: Path) -> None:
    """Makes the folder and those above it; each new one is brought to the disk with the folder it lies in."""
    if folder.is_dir():
        return
    _folder_make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink_quietly(staged: Path) -> None:
    """What cannot be removed (the disk is read-only) is left to the sweep of orphans."""
    with contextlib.suppress(OSError):
        staged.unlink(missing_ok=True)


def _not_taken(uri: str, error: Exception) -> TransientError:
    return _fault(error, _("The object store could not take {uri}: {reason}", uri=uri, reason=_reason(error)))


def _not_given(uri: str, error: Exception) -> TransientError:
    reason = _reason(error, reads=True)
    return TransientError(_("The object store could not give {uri}: {reason}", uri=uri, reason=reason))


def _fault(error: Exception, otherwise: Text) -> TransientError:
    """What a failed write is told as: a full or read-only disk by an error of its own."""
    return storage_fault(error, STORE) or TransientError(otherwise)


def _reason(error: Exception, *, reads: bool = False) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return store_refused(error, reads=reads) or type(error).__name__
