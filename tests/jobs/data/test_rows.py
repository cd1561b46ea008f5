"""Single rows by their numbers: the same cells whatever the format, cut out as they were written."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.data import process
from jobs.data.inspect import file_inspect
from jobs.data.rows import TEXT_MAX, rows_read
from mlplatform.core.errors import DataError
from mlplatform.core.tabular.schema import TableSchema


def inspected(path: Path, **said: object) -> TableSchema:
    return file_inspect(path, **said).profile.schema  # type: ignore[arg-type]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_rows_of_a_csv_are_the_ones_that_the_csv_module_finds(tmp_path: Path):
    records = [[f"{n}.50", f"word {n}", f'say "{n}"\nand, more' if n % 3 == 0 else "x"] for n in range(500)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b", "c"], *records])
    path = written(tmp_path / "t.csv", text.getvalue().encode())
    found = rows_read(path, inspected(path), [500, 1, 4, 4, 37])
    assert found == {number: records[number - 1] for number in (1, 4, 37, 500)}


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_csv_is_read_across_its_blocks(tmp_path: Path, packed: bool):
    lines = [b"a,b", *(b"%d,%s" % (n, b"y" * 100) for n in range(1, 100_001))]
    content = b"\r\n".join(lines)
    path = written(tmp_path / "t.csv", gzip.compress(content, 1) if packed else content)
    schema = TableSchema("csv", ("a", "b"), ("integral", "text"))
    numbers = [1, 39_000, 39_001, 70_000, 100_000]
    assert [cells[0] for cells in rows_read(path, schema, numbers).values()] == [str(n) for n in numbers]


@pytest.mark.parametrize(
    ("content", "schema", "expected"),
    [
        ("名前,値\nあ, 5.10 \nい,NA\n".encode("cp932"), {"encoding": "cp932"}, [["あ", "5.10"], ["い", ""]]),
        (b"\xef\xbb\xbfx;y\n\n1;2\n\n3;4", {"delimiter": ";"}, [["1", "2"], ["3", "4"]]),
        (b"1,2\n3,4\n", {"header": False}, [["1", "2"], ["3", "4"]]),
    ],
)
def test_encodings_delimiters_blank_lines_and_files_without_a_header(
    tmp_path: Path, content: bytes, schema: dict[str, object], expected: list[list[str]]
):
    path = written(tmp_path / "t.csv", content)
    found = inspected(path, **schema)
    assert rows_read(path, found, [2, 1]) == {1: expected[0], 2: expected[1]}


def test_rows_of_parquet_come_from_the_row_groups_that_have_them(tmp_path: Path):
    path = tmp_path / "t.parquet"
    table = pa.table(
        {
            "whole": pa.array(range(1, 1001), pa.int16()),
            "real": [n / 8 if n % 2 else None for n in range(1000)],
            "kind": pa.array(["a", "b"] * 500).dictionary_encode(),
            "yes": [n % 2 == 0 for n in range(1000)],
            "on": [date(2026, 1, 1 + n % 28) for n in range(1000)],
        }
    )
    pq.write_table(table, path, row_group_size=100)
    found = rows_read(path, inspected(path), [1000, 100, 101, 2])
    assert list(found) == [2, 100, 101, 1000]
    assert found[2] == ["2", "0.125", "b", "false", "2026-01-02"]
    assert found[101] == ["101", "", "a", "true", "2026-01-17"]


@pytest.mark.parametrize("form", ["keys", "features"])
def test_rows_of_json_lines_in_both_forms(tmp_path: Path, form: str):
    keys = [{"a": n, "b": None if n == 2 else n / 4, "label": n % 2} for n in range(1, 21)]
    features = [{"features": [n, n / 4], "label": n % 2} for n in range(1, 21)]
    lines = keys if form == "keys" else features
    path = written(tmp_path / "t.jsonl", "\n".join(map(json.dumps, lines)).encode())
    found = rows_read(path, inspected(path, label="label"), [20, 2])
    assert found == {2: ["2", "" if form == "keys" else "0.5", "0"], 20: ["20", "5", "0"]}


def test_a_number_that_is_no_row_is_left_out_and_a_long_cell_is_cut(tmp_path: Path):
    path = written(tmp_path / "t.csv", b"a,b\n1," + b"x" * 5000 + b"\n")
    found = rows_read(path, inspected(path), [1, 2, 0, -3, 10**15])
    assert list(found) == [1]
    assert found[1][1] == "x" * TEXT_MAX
    assert rows_read(path, inspected(path), []) == {}


def test_a_file_that_is_not_what_its_schema_says_is_refused_by_row(tmp_path: Path):
    path = written(tmp_path / "t.csv", b"a,b\n1,2\n3\n")
    schema = TableSchema("csv", ("a", "b"), ("integral", "integral"))
    with pytest.raises(DataError) as caught:
        rows_read(path, schema, [2])
    assert caught.value.row == 2
    with pytest.raises(DataError, match="not Parquet"):
        rows_read(path, TableSchema("parquet", ("a", "b"), ("integral", "integral")), [1])


def test_the_process_reads_the_one_file_and_nothing_else(tmp_path: Path, sandboxed: None):
    path = written(tmp_path / "t.csv", b"a,b\n1,x\n2,y\n")
    schema = inspected(path)
    assert process.file_rows(path, schema, [2, 3]) == {2: ["2", "y"]}
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        sandbox = process._sandbox(reads=path)
        request = {"path": str(tmp_path / "other.csv"), "schema": schema.to_dict(), "numbers": [1]}
        process._run("rows", request, process.ROWS_LIMITS, sandbox)
