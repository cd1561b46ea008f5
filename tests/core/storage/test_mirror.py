"""Copies of a store: whole, only what is new, nothing deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from mlplatform.core.storage.mirror import Mirrored, mirror
from mlplatform.core.storage.store import ObjectStore


def stores(folder: Path) -> tuple[ObjectStore, ObjectStore]:
    return ObjectStore(f"file://{folder}/one"), ObjectStore(f"file://{folder}/two")


def test_what_is_missing_is_copied_and_nothing_else_is_touched(tmp_path: Path) -> None:
    source, target = stores(tmp_path)
    source.put_bytes(b"abc", "s3://alpha/a/b.csv")
    source.put_bytes(b"", "s3://gamma/empty")
    target.put_bytes(b"mine", "s3://alpha/only-here")
    assert mirror(source, target) == Mirrored(n_objects=2, n_copied=2, bytes_copied=3)
    assert target.get_bytes("s3://alpha/a/b.csv") == b"abc" and target.size("s3://gamma/empty") == 0
    source.put_bytes(b"new", "s3://alpha/c")
    assert mirror(source, target) == Mirrored(n_objects=3, n_copied=1, bytes_copied=3)
    assert target.get_bytes("s3://alpha/only-here") == b"mine"


def test_what_was_left_half_is_copied_again(tmp_path: Path) -> None:
    source, target = stores(tmp_path)
    source.put_bytes(b"whole", "s3://alpha/a")
    target.put_bytes(b"wh", "s3://alpha/a")
    assert mirror(source, target).n_copied == 1
    assert target.get_bytes("s3://alpha/a") == b"whole"


def test_the_command_says_what_it_did_and_refuses_what_is_no_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, _ = stores(tmp_path)
    source.put_bytes(b"abc", "s3://alpha/a")
    one, two = f"file://{tmp_path}/one", f"file://{tmp_path}/two"
    call_command("objects", "--from", one, "--to", two)
    assert capsys.readouterr().out == "1 objects, 1 copied (3 bytes)\n"
    for target in (one, "ftp://x", "s3://"):
        with pytest.raises(CommandError):
            call_command("objects", "--from", one, "--to", target)
