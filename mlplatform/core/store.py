"""The object store: every file that outlives a process, addressed as `s3://bucket/key`. Django-free.

A folder on this machine (`file:///path`) or an S3-compatible store (`s3://…`), both carried by obstore. A write becomes
visible whole or not at all. Paths on disk are private to this module, but for `local_path`, by which a job reads its
channel without a copy where the store is a folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url
from obstore.store import ObjectStore as Backend

from mlplatform.core.errors import NotFound, TransientError
from mlplatform.core.names import uri_split

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class StoredObject:
    """An object as written: its address, size and the SHA-256 of its content in hexadecimal."""

    uri: str
    size_bytes: int
    sha256: str


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
            TransientError: the store is away or full.
        """
        digest, size = _digest(path)
        try:
            if self._root is None:
                obstore.put(self._backend, self._key(uri), path)
            else:
                self._put_local(path, self._local(uri), move=move)
        except (BaseError, OSError) as error:
            raise TransientError(f"The object store could not take {uri}: {_reason(error)}") from error
        if move:
            path.unlink(missing_ok=True)
        return StoredObject(uri, size, digest)

    def put_bytes(self, data: bytes, uri: str) -> StoredObject:
        """Stores `data` at `uri`, replacing what was there. Raises TransientError."""
        try:
            obstore.put(self._backend, self._key(uri), data)
        except (BaseError, OSError) as error:
            raise TransientError(f"The object store could not take {uri}: {_reason(error)}") from error
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
            raise TransientError(f"The object store could not give {uri}: {_reason(error)}") from error

    def download(self, uri: str, path: Path) -> None:
        """Writes the object to `path`. Raises NotFound, TransientError."""
        with path.open("wb") as file:
            for chunk in self.chunks(uri):
                file.write(chunk)

    def copy(self, source_uri: str, uri: str) -> None:
        """Makes `uri` the same content without moving bytes through here (a hard link where the store is a folder).

        Raises:
            NotFound, TransientError.
        """
        try:
            obstore.copy(self._backend, self._key(source_uri), self._key(uri))
        except FileNotFoundError:
            raise NotFound(f"There is no object {source_uri}") from None
        except (BaseError, OSError) as error:
            raise TransientError(f"The object store could not copy {source_uri}: {_reason(error)}") from error

    def size(self, uri: str) -> int | None:
        """Bytes of the object, or None where there is none. Raises TransientError."""
        try:
            return int(obstore.head(self._backend, self._key(uri))["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            if self._is_below_a_file(uri):
                return None
            raise TransientError(f"The object store could not look for {uri}: {_reason(error)}") from error

    def delete(self, uris: Iterable[str]) -> None:
        """Deletes objects; one that is not there is no error. Raises TransientError."""
        for uri in uris:
            try:
                obstore.delete(self._backend, self._key(uri))
            except FileNotFoundError:
                continue
            except (BaseError, OSError) as error:
                raise TransientError(f"The object store could not delete {uri}: {_reason(error)}") from error

    def list(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Objects below `s3://bucket/prefix`, without digests."""
        if self._is_below_a_file(prefix_uri):
            return
        bucket, prefix = uri_split(prefix_uri)
        for batch in obstore.list(self._backend, prefix=f"{bucket}/{prefix}"):
            for item in batch:
                yield StoredObject(f"s3://{item['path']}", int(item["size"]), "")

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

    def _put_local(self, path: Path, target: Path, *, move: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
        try:
            if move and path.stat().st_dev == target.parent.stat().st_dev:
                path.rename(staged)
            else:
                shutil.copyfile(path, staged)
            _sync(staged)
            staged.rename(target)
        finally:
            staged.unlink(missing_ok=True)


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _backend(url: str, root: Path | None) -> Backend:
    if root is None:
        return from_url(url)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(root, automatic_cleanup=True)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
