"""Dataset processes: answers and errors come back as values, and their limits hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.data import process
from jobs.runner.sandbox import Sandbox
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import DataError, InvalidRequest


def test_a_file_is_inspected_in_another_process(tmp_path: Path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    found = process.file_inspect(tmp_path / "t.csv", profile_path=tmp_path / "p.json", label="b")
    assert (found.n_rows, found.schema.label_mapping) == (2, {"x": 0, "y": 1})
    profile = json.loads((tmp_path / "p.json").read_text())
    assert profile["schema"] == found.schema.to_dict()
    again = process.file_relabel(
        tmp_path / "t.csv", found.schema, n_rows=2, label="a", profile_path=tmp_path / "p2.json"
    )
    assert (again.schema.label, again.schema.label_mapping) == (0, None)


def test_a_fault_in_the_data_comes_back_with_its_place(tmp_path: Path):
    (tmp_path / "t.csv").write_text("名,b\n" + "1,2\n" * 20 + "あ,2\n")
    with pytest.raises(DataError) as caught:
        process.file_inspect(tmp_path / "t.csv", profile_path=tmp_path / "p.json")
    assert (caught.value.row, caught.value.column, caught.value.value) == (21, "名", "あ")
    assert not (tmp_path / "p.json").exists()


def test_a_fault_in_the_request_comes_back_with_its_field(tmp_path: Path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidRequest) as caught:
        process.file_inspect(tmp_path / "t.csv", profile_path=tmp_path / "p.json", label="c")
    assert caught.value.errors[0].field == "label"
    with pytest.raises(InvalidRequest, match="'x' is not a sample"):
        process.sample_write("x", tmp_path / "s.csv")


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_and_no_crash(tmp_path: Path):
    pq.write_table(pa.table({"a": ["x" * 200_000_000]}), tmp_path / "bomb", compression="zstd")
    assert (tmp_path / "bomb").stat().st_size < 1024**2
    limits = process.Limits(memory_bytes=300 * 1024**2)
    with pytest.raises(DataError, match="memory"):
        process.file_inspect(tmp_path / "bomb", profile_path=tmp_path / "p.json", limits=limits)


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path):
    os.mkfifo(tmp_path / "never")
    with pytest.raises(DataError, match="longer than 1 s"):
        process.file_inspect(
            tmp_path / "never", profile_path=tmp_path / "p.json", limits=process.Limits(time_s=1)
        )


def test_a_fault_of_ours_is_not_blamed_on_the_data(tmp_path: Path):
    with pytest.raises(RuntimeError, match=r"FileNotFoundError|No such file"):
        process.file_inspect(tmp_path / "absent", profile_path=tmp_path / "p.json")


def test_the_process_sees_no_secret_of_the_platform(monkeypatch):
    monkeypatch.setenv("MLPLATFORM_SECRET_KEY", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hush@h/d")
    assert "hush" not in json.dumps(process._environment(Sandbox()))


def test_the_process_sees_no_file_but_the_one_it_is_to_read(tmp_path: Path, sandboxed: None):
    given, other = tmp_path / "in" / "given.csv", tmp_path / "in" / "other.csv"
    given.parent.mkdir()
    (tmp_path / "out").mkdir()
    for path in (given, other):
        path.write_text("a,b\n1,2\n3,4\n")
    sandbox = process._sandbox(reads=given, writes=tmp_path / "out")
    request = {"path": str(given), "profile_path": str(tmp_path / "out" / "profile.json")}
    assert process._run("inspect", dict(request), process.Limits(), sandbox)["n_rows"] == 2
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        process._run("inspect", {**request, "path": str(other)}, process.Limits(), sandbox)
    with pytest.raises(RuntimeError, match="Read-only file system"):
        process._run("inspect", {**request, "profile_path": str(given)}, process.Limits(), sandbox)


def test_a_process_that_was_taken_over_cannot_pass_off_a_file_of_the_platform_as_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "secret_key").write_text("hush")
    inspected = process.file_inspect(tmp_path / "t.csv", profile_path=tmp_path / "p.json")
    folder = tmp_path / "parts"
    own, stolen = str(folder / "part-0.csv"), str(tmp_path / "secret_key")
    facts = {"schema": inspected.schema.to_dict(), "n_rows": 1, "columns": [], "warnings": []}

    def split(path: str, profile_path: str) -> list[process.SplitPart]:
        said = [{"name": "train", "path": path, "profile_path": profile_path, **facts}]
        monkeypatch.setattr(process, "_run", lambda *_: said)
        return process.file_split(tmp_path / "t.csv", inspected.schema, {"train": 1.0}, folder=folder)

    assert split(own, own)[0].path == Path(own)
    for path, profile_path in ((stolen, own), (own, stolen), (f"{folder}/../secret_key", own)):
        with pytest.raises(RuntimeError, match="not in its folder"):
            split(path, profile_path)


def test_a_process_that_was_taken_over_cannot_have_a_template_filled_in_that_is_none():
    evil = {"template": "{a:>999999999}", "params": {"a": "x"}}
    fault = {"kind": "data", "message": evil, "row": 1, "column": "a", "value": ""}
    refusal = {"kind": "request", "errors": [["label", evil]]}
    for error in (fault, refusal):
        found = process._error(error, b"")
        assert isinstance(found, DataError | InvalidRequest)
        assert 0 < len(str(found)) < 1000


def test_a_process_whose_parent_is_gone_does_nothing(tmp_path: Path):
    request = {
        "limits": {"memory_bytes": 2**30, "cpu_s": 5, "parent_pid": 1},
        "name": "iris",
        "path": str(tmp_path / "x"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "jobs.data", "sample"],
        input=json.dumps(request).encode(),
        cwd=PROJECT_ROOT,
        capture_output=True,
    )
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert not (tmp_path / "x").exists()
