"""The object store as a folder: whole or not at all, and no way out of it."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from mlplatform.core.errors import InvalidRequest, NotFound, TransientError
from mlplatform.core.storage.store import ObjectStore

URI = "s3://mlplatform-1/a/b.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store with space é"


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    return ObjectStore(f"file://{folder}")


def test_what_is_put_is_given_back_with_its_digest(store: ObjectStore, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    stored = store.put_file(source, URI)
    assert (stored.uri, stored.size_bytes, stored.sha256) == (
        URI,
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    assert source.exists()
    assert b"".join(store.chunks(URI)) == content == store.get_bytes(URI)
    store.download(URI, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert store.size(URI) == len(content)


def test_a_piece_is_given_from_anywhere_and_ends_with_the_object(store: ObjectStore) -> None:
    store.put_bytes(b"0123456789", "s3://bucket/numbers")
    assert store.piece("s3://bucket/numbers", offset=3, size_bytes=4) == b"3456"
    assert store.piece("s3://bucket/numbers", offset=8, size_bytes=100) == b"89"
    assert store.piece("s3://bucket/numbers", offset=10, size_bytes=1) == b""
    with pytest.raises(NotFound):
        store.piece("s3://bucket/nothing", offset=0, size_bytes=1)


def test_a_file_given_away_is_gone(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    store.put_file(source, URI, move=True)
    assert not source.exists()
    assert store.get_bytes(URI) == b"x"


def test_an_object_is_replaced_whole(store: ObjectStore) -> None:
    seen: set[bytes] = set()
    done = threading.Event()
    contents = [bytes([n]) * 500_000 for n in range(2)]
    store.put_bytes(contents[0], URI)

    def read() -> None:
        while not done.is_set():
            seen.add(store.get_bytes(URI))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(60):
        store.put_bytes(contents[n % 2], URI)
    done.set()
    reader.join()
    assert seen <= set(contents)


def test_a_failed_write_leaves_nothing_behind(store: ObjectStore, folder: Path, tmp_path: Path) -> None:
    in_the_way = folder / "mlplatform-1"
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("no folder")
    source = tmp_path / "source"
    source.write_bytes(b"x")
    with pytest.raises(TransientError):
        store.put_file(source, URI, move=True)
    assert source.exists()
    assert [path.name for path in folder.rglob("*")] == ["mlplatform-1"]


def test_what_is_not_there_is_said(store: ObjectStore, tmp_path: Path) -> None:
    assert store.size(URI) is None
    with pytest.raises(NotFound, match=r"a/b\.csv"):
        store.get_bytes(URI)
    with pytest.raises(NotFound):
        store.download(URI, tmp_path / "copy")
    store.delete([URI])


def test_objects_are_listed_below_a_prefix_and_deleted(store: ObjectStore) -> None:
    for name in ("a/1", "a/2", "ab/3", "b/4"):
        store.put_bytes(b"x" * 3, f"s3://mlplatform-1/{name}")
    listed = sorted(item.uri for item in store.list("s3://mlplatform-1/a"))
    assert listed == ["s3://mlplatform-1/a/1", "s3://mlplatform-1/a/2"]
    store.delete(listed)
    assert not list(store.list("s3://mlplatform-1/a"))


@pytest.mark.parametrize(
    "address", ["s3://mlplatform-1/../../etc/passwd", "/etc/passwd", "file:///etc/passwd"]
)
def test_there_is_no_way_out(store: ObjectStore, address: str) -> None:
    for act in (store.get_bytes, store.local_path, store.size):
        with pytest.raises(InvalidRequest):
            act(address)


def test_a_copy_is_the_same_content_under_another_address(store: ObjectStore) -> None:
    store.put_bytes(b"model", URI)
    store.copy(URI, "s3://mlplatform-1/copy")
    store.delete([URI])
    assert store.get_bytes("s3://mlplatform-1/copy") == b"model"


def test_there_is_nothing_below_an_object(store: ObjectStore) -> None:
    store.put_bytes(b"x", URI)
    assert store.size(f"{URI}/c") is None
    assert list(store.list(f"{URI}/c")) == []
    assert store.size(URI) == 1


def test_what_is_no_regular_file_is_not_stored_nor_what_it_leads_to(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    """A process in a sandbox may leave such a thing under the name of its result."""
    secret, link, pipe = tmp_path / "secret", tmp_path / "link", tmp_path / "pipe"
    secret.write_text("hush")
    link.symlink_to(secret)
    os.mkfifo(pipe)
    for left in (link, pipe):
        for move in (False, True):
            with pytest.raises(OSError, match="not a regular file"):
                store.put_file(left, URI, move=move)
    assert [path for path in folder.rglob("*") if not path.is_dir()] == []
    assert secret.read_text() == "hush"
