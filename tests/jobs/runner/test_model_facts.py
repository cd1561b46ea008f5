"""What an algorithm says of its model: written by the job, read by the worker as what anybody may have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.runner.model_facts import FILE_NAME, MAX_BYTES, model_facts_read, model_facts_write
from jobs.runner.pack import model_pack


def test_what_is_said_is_read(tmp_path: Path) -> None:
    facts = {"engine": {"name": "tree", "reason": "木", "measured_ms": {"flat": {"single": 1.5}}}}
    model_facts_write(facts, tmp_path)
    assert model_facts_read(tmp_path) == facts
    model_facts_write({"engine": None}, tmp_path)
    assert model_facts_read(tmp_path) == {"engine": None}


def test_nothing_said_is_nothing(tmp_path: Path) -> None:
    assert model_facts_read(tmp_path) == {}
    assert model_facts_read(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b'{"x": NaN}',
        b'{"x": 1e999}',
        b'{"x": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"x": "\\ud800"}',
        b'{"x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"x": "' + b"a" * MAX_BYTES + b'"}',
        b'{"x": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_no_database_could_keep_is_not_taken(text: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(text)
    assert model_facts_read(tmp_path) == {}


@pytest.mark.parametrize("kind", ["link", "folder link", "pipe", "folder"])
def test_only_a_regular_file_is_opened(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / FILE_NAME).write_text('{"password": 1}')
    output = tmp_path / "output"
    if kind == "folder link":
        output.symlink_to(secret)
    else:
        output.mkdir()
    if kind == "link":
        (output / FILE_NAME).symlink_to(secret / FILE_NAME)
    elif kind == "pipe":
        os.mkfifo(output / FILE_NAME)
    elif kind == "folder":
        (output / FILE_NAME).mkdir()
    assert model_facts_read(output) == {}


def test_a_manifest_keeps_its_own_members(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w")
    packed = model_pack(
        model_dir=tmp_path / "model",
        archive=tmp_path / "m.tar.gz",
        facts={"manifest_version": 7, "files": {}, "engine": {"name": "flat"}},
    )
    assert packed.manifest["manifest_version"] == 1
    assert set(packed.manifest["files"]) == {"weights"}
    assert packed.manifest["engine"] == {"name": "flat"}
