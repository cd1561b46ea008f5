"""Parquet, JSON Lines and the schema itself."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import DataError
from mlplatform.core.tabular.jsonlines import JsonLinesReader
from mlplatform.core.tabular.parquet import parquet_columns, parquet_open
from mlplatform.core.tabular.read import read_batches
from mlplatform.core.tabular.schema import SERVICE_CSV, TableSchema

COVERTYPE = PROJECT_ROOT / "../shared/data/covtype/covtype.parquet"
PARQUET = TableSchema("parquet", (), ())
LINES = TableSchema("jsonlines", (), ())


def _parquet(**columns: pa.Array) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _all(data: bytes, schema: TableSchema, **options):
    batches = list(read_batches(io.BytesIO(data), schema, **options))
    y = None if batches[0].y is None else np.concatenate([batch.y for batch in batches])
    return np.concatenate([batch.X for batch in batches]), y


def _fault(data: bytes, schema: TableSchema, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        _all(data, schema, **options)
    return caught.value


def test_parquet_numbers_of_every_width_become_float32():
    data = _parquet(
        small=pa.array([1, -2], pa.int8()),
        unsigned=pa.array([1, 2], pa.uint16()),
        wide=pa.array([2**40, None], pa.int64()),
        half=pa.array(np.array([1.5, 2.5], np.float16)),
        flag=pa.array([True, None]),
        exact=pa.array([Decimal("1.25"), Decimal("-3")]),
        coded=pa.array([7, 8]).dictionary_encode(),
    )
    X, y = _all(data, PARQUET)
    expected = [[1, 1, 2.0**40, 1.5, 1, 1.25, 7], [-2, 2, np.nan, 2.5, np.nan, -3, 8]]
    np.testing.assert_array_equal(X, np.array(expected, np.float32))
    assert y is None
    assert X.flags.c_contiguous


def test_parquet_text_labels_are_mapped():
    schema = TableSchema(
        "parquet", ("x", "kind"), ("fractional", "text"), label=1, label_mapping={"a": 0, "b": 1}
    )
    data = _parquet(x=pa.array([1.0, 2.0]), kind=pa.array(["b", "a"]).dictionary_encode())
    np.testing.assert_array_equal(_all(data, schema)[1], [1, 0])


def test_parquet_faults_have_row_and_column():
    data = _parquet(x=pa.array([1.0, float("inf")]), y=pa.array([1, None]))
    assert (_fault(data, PARQUET).row, _fault(data, PARQUET).column) == (2, "x")
    good = _parquet(x=pa.array([1.0, float("nan")]), y=pa.array([1, None]))
    error = _fault(good, replace(PARQUET, label=1), require_label=True)
    assert (error.row, error.column) == (2, "y")
    assert np.isnan(_all(good, replace(PARQUET, label=1))[0][1, 0])


def test_a_text_feature_is_refused_with_its_first_value():
    error = _fault(_parquet(x=pa.array([None, "M"])), PARQUET)
    assert (error.row, error.column, error.value) == (2, "x", "M")


def test_parquet_columns_that_are_no_cells_are_refused_by_name():
    file = parquet_open(io.BytesIO(_parquet(a=pa.array([1]), pictures=pa.array([[1, 2]]))))
    with pytest.raises(DataError, match="column 'pictures': has the Parquet type list"):
        parquet_columns(file)


def test_a_parquet_cell_over_a_mebibyte_is_refused():
    schema = TableSchema("parquet", ("a", "b"), ("integral", "text"), label=1, label_mapping={"x": 0})
    error = _fault(_parquet(a=pa.array([1, 2]), b=pa.array(["x", "y" * (1024 * 1024 + 1)])), schema)
    assert (error.row, error.column) == (2, "b")


def test_parquet_dates_are_text():
    file = parquet_open(io.BytesIO(_parquet(day=pa.array([date(2026, 1, 2)]))))
    assert parquet_columns(file) == (("day",), ("text",))


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"a,b\n1,2\n", "not Parquet"), (b"PAR1 no such thing PAR1", "damaged")],
)
def test_what_is_no_parquet_is_refused(data, words):
    assert words in str(_fault(data, PARQUET))


def test_parquet_without_rows_is_refused():
    assert "no data row" in str(_fault(_parquet(a=pa.array([], pa.int8())), PARQUET))


def test_parquet_comes_through_a_fifo_too(tmp_path: Path):
    fifo = tmp_path / "train_0"
    os.mkfifo(fifo)
    data = _parquet(a=pa.array(range(1000)))
    feeder = threading.Thread(target=fifo.write_bytes, args=[data])
    feeder.start()
    (batch,) = read_batches(fifo, PARQUET)
    feeder.join()
    np.testing.assert_array_equal(batch.X[:, 0], np.arange(1000))


@pytest.mark.skipif(not COVERTYPE.exists(), reason="../shared/data/covtype is not there")
def test_covertype_is_read_whole_and_exactly():
    columns = pq.read_table(COVERTYPE)
    schema = replace(PARQUET, label=54)
    n_rows, total = 0, 0.0
    counts = np.zeros(8, np.int64)
    for batch in read_batches(COVERTYPE, schema, require_label=True):
        assert batch.first_row == n_rows + 1
        n_rows += len(batch.X)
        total += batch.X.sum(dtype=np.float64)
        counts += np.bincount(batch.y.astype(np.int64), minlength=8)
    assert n_rows == 581_012
    assert total == sum(float(np.asarray(columns.column(i), np.float64).sum()) for i in range(54))
    assert counts.tolist() == [0, 211840, 283301, 35754, 2747, 9493, 17367, 20510]


def test_json_lines_of_named_cells():
    data = b'{"a": 1, "kind": "x", "b": null}\n\n{"kind": "y", "b": 2.5, "a": 3}\n'
    schema = TableSchema(
        "jsonlines",
        ("a", "kind", "b"),
        ("integral", "text", "fractional"),
        label=1,
        label_mapping={"x": 0, "y": 1},
    )
    X, y = _all(data, schema)
    np.testing.assert_array_equal(X, [[1, np.nan], [3, 2.5]])
    np.testing.assert_array_equal(y, [0, 1])


def test_json_lines_of_features_and_label():
    data = gzip.compress(b'{"features": [1, 2], "label": 3}\n{"label": 4, "features": [5, 6]}')
    X, y = _all(data, replace(LINES, label=2))
    np.testing.assert_array_equal(X, [[1, 2], [5, 6]])
    np.testing.assert_array_equal(y, [3, 4])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1}', "row 2: lacks the key 'b'; every row needs the keys of the first"),
        (b'{"a": 1, "b": 2, "c": 3}', "row 2: has the key 'c'; every row needs the keys of the first"),
        (b'{"a": 1, "b": "x"}', "row 2, column 'b': 'x' is not a number"),
        (b'{"a": 1, "b": true}', "row 2, column 'b': 'true' is not a number"),
        (b'{"a": 1, "b": [1]}', "row 2, column 'b': '[1]' is not a number, truth value or text"),
        (b"[1, 2]", "row 2: is '[1, 2]', a JSON object is expected"),
        (
            b'{"a": 1, "b": 1e400}',
            "row 2, column 'b': 'inf' is not a finite number that fits float32 (about ±3.4e38)",
        ),
    ],
)
def test_a_wrong_line_is_refused_with_its_row(line, message):
    assert str(_fault(b'{"a": 1, "b": 2}\n' + line + b"\n", LINES)) == message


def test_what_is_no_json_is_refused_with_its_row():
    assert str(_fault(b'{"a": 1}\n{"a": \n', LINES)).startswith("row 2: is not JSON")
    assert str(_fault(b'{"a": 1}\n{"a": "\\ud800"}\n', LINES)).startswith("row 2: is not JSON")
    assert str(_fault(b"[" * 100_000, LINES)).startswith("row 1: is not JSON")


def test_features_of_another_count_are_refused():
    data = b'{"features": [1, 2]}\n{"features": [1]}\n'
    assert str(_fault(data, LINES)) == "row 2: has 1 features, 2 are expected"


@given(rows=st.lists(st.lists(st.floats(width=32, allow_infinity=False), min_size=3, max_size=3), min_size=1))
def test_json_lines_and_parquet_give_the_same_arrays(rows):
    lines = "\n".join(json.dumps({"features": row}) for row in rows).encode()
    columns = {f"c{i}": pa.array([row[i] for row in rows], pa.float32()) for i in range(3)}
    np.testing.assert_array_equal(_all(lines, LINES)[0], _all(_parquet(**columns), PARQUET)[0])


_VALUES = st.sampled_from(
    ["1", "-2.5e3", "null", "true", '"x"', '" NA "', "NaN", "[1]", "12345678901234567890"]
)


@given(
    rows=st.lists(st.tuples(_VALUES, _VALUES, _VALUES), min_size=1, max_size=5),
    types=st.tuples(*[st.sampled_from(["fractional", "text", "boolean"])] * 3),
)
def test_the_fast_look_at_json_never_accepts_what_the_precise_one_refuses(rows, types):
    lines = "".join(f'{{"a": {a}, "b": {b}, "c": {c}}}\n' for a, b, c in rows)
    reader = JsonLinesReader(io.BytesIO(lines.encode()))
    (block,) = reader.blocks()
    try:
        fast = reader.table(block, types)
    except pa.ArrowInvalid:
        return
    precise = reader.precise_table(block, types)
    for ours, theirs in zip(fast.columns, precise.columns, strict=True):
        assert _known(ours) == _known(theirs)


def _known(column: pa.ChunkedArray) -> list[object]:
    return [None if value != value else value for value in column.to_pylist()]


def test_many_json_lines_keep_their_row_numbers():
    good = b'{"features": [1.5, 2], "label": 1}\n' * 200_000
    error = _fault(good + b'\n{"features": [1, "x"], "label": 1}\n', replace(LINES, label=2))
    assert (error.row, error.column, error.value) == (200_001, "c1", "x")
    assert len(_all(good, replace(LINES, label=2))[0]) == 200_000


def test_an_endless_json_line_is_refused():
    assert "longer than 16 MiB" in str(_fault(b'{"a": "' + b"x" * (25 * 1024 * 1024), LINES))


_NAMES = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5, unique=True)


@given(names=_NAMES, data=st.data())
def test_a_schema_survives_json(names, data):
    kinds = data.draw(
        st.lists(st.sampled_from(["integral", "text"]), min_size=len(names), max_size=len(names))
    )
    label = data.draw(st.none() | st.integers(0, len(names) - 1))
    schema = TableSchema(
        "csv", tuple(names), tuple(kinds), label=label, label_mapping={"x": 0} if label else None
    )
    assert TableSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert schema.n_features == len(names) - (label is not None)
    assert schema.label_name == (None if label is None else names[label])
    assert len(schema.feature_names) == schema.n_features


def test_a_schema_of_unknown_words_is_refused():
    with pytest.raises(ValueError, match="'xls' is not a table format"):
        TableSchema.from_dict({"format": "xls", "columns": [], "types": []})
    with pytest.raises(ValueError, match="'real' is not a column type"):
        TableSchema.from_dict({"format": "csv", "columns": ["a"], "types": ["real"]})
    with pytest.raises(ValueError, match="label 2"):
        TableSchema("csv", ("a",), ("text",), label=2)


def test_content_types_are_the_service_s():
    assert SERVICE_CSV.content_type == "text/csv;label_size=1"
    assert PARQUET.content_type == "application/x-parquet"


def test_the_schema_is_cheap_to_import():
    code = (
        "import sys, mlplatform.core.tabular.schema, jobs.data.process, jobs.data.sample_list;"
        "assert not {'numpy', 'pyarrow', 'sklearn', 'django'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT_ROOT)
