"""gzip as it is written and read, beside Python's own."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from mlplatform.core.gzip_files import GZIP_DAMAGED, gzip_reading, gzip_writing

CONTENT = b"".join(b"%d,%d,abc\n" % (n, n * n) for n in range(3000))


def packed(content: bytes) -> bytes:
    target = io.BytesIO()
    with gzip_writing(target) as stream:
        stream.write(content)
    return target.getvalue()


def unpacked(data: bytes) -> bytes:
    with gzip_reading(io.BytesIO(data)) as stream:
        return stream.read()


@pytest.mark.parametrize("content", [b"", b"a", CONTENT, os.urandom(100_000), bytes(5_000_000)])
def test_what_one_writes_the_other_reads(content: bytes) -> None:
    assert gzip.decompress(packed(content)) == content
    assert unpacked(gzip.compress(content)) == content
    assert packed(content) == packed(content)


def test_several_members_and_padding_are_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "several.gz"
    path.write_bytes(gzip.compress(b"one,") + packed(b"two") + bytes(512))
    with gzip_reading(path) as stream:
        assert stream.read() == b"one,two"


def test_a_stream_stays_open_and_need_not_seek(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(packed(CONTENT)))
    writer.start()
    with pipe.open("rb") as file:
        with gzip_reading(file) as stream:
            assert stream.read() == CONTENT
        assert not file.closed
    writer.join()


def test_whatever_is_damaged_is_told_or_does_no_harm() -> None:
    whole = packed(CONTENT[:4000])
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        try:
            assert unpacked(bytes(damaged)) == CONTENT[:4000], place
            assert place < 10, "only of the header some bytes mean nothing"
        except GZIP_DAMAGED:
            continue


def test_whatever_is_cut_off_is_told() -> None:
    whole = packed(CONTENT)
    for n_bytes in range(1, len(whole), 97):
        with pytest.raises(GZIP_DAMAGED):
            unpacked(whole[:n_bytes])
