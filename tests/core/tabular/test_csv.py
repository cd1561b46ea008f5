"""Delimited text: every encoding, delimiter and fault a user may upload."""

from __future__ import annotations

import csv
import gzip
import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.csv import CsvReader
from mlplatform.core.tabular.read import read_batches, read_tables
from mlplatform.core.tabular.records import record_blocks
from mlplatform.core.tabular.schema import SERVICE_CSV, TableSchema

PLAIN = replace(SERVICE_CSV, label=None)
IRIS = TableSchema(
    "csv",
    ("petal_length", "petal_width", "species"),
    ("fractional", "fractional", "text"),
    label=2,
    label_mapping={"setosa": 0, "virginica": 1},
)
HEADER = b"petal_length,petal_width,species\n"


def _rows(data: bytes, schema: TableSchema | None = None, **options):
    batches = list(read_batches(io.BytesIO(data), schema, **options))
    X = np.concatenate([batch.X for batch in batches])
    return X, None if batches[0].y is None else np.concatenate([batch.y for batch in batches])


def _fault(data: bytes, schema: TableSchema | None = None, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        _rows(data, schema, **options)
    return caught.value


def test_the_service_reads_the_label_first_and_no_header():
    X, y = _rows(b"1,5.5,2\n0,-1e3,.5\n")
    np.testing.assert_array_equal(X, np.array([[5.5, 2], [-1000, 0.5]], np.float32))
    np.testing.assert_array_equal(y, [1, 0])
    assert X.dtype == y.dtype == np.float32


def test_text_labels_become_their_numbers_whatever_blanks_are_around_them():
    X, y = _rows(HEADER + b"1, 2 , setosa\n3,4,virginica \n", IRIS)
    np.testing.assert_array_equal(y, [0, 1])
    np.testing.assert_array_equal(X, [[1, 2], [3, 4]])


def test_text_in_a_number_column_is_refused_with_row_column_and_value():
    good = b"1.4,0.2,setosa\n" * 16
    error = _fault(HEADER + good + b"1.4,abc,setosa\n", IRIS)
    assert (error.row, error.column, error.value) == (17, "petal_width", "abc")
    assert str(error) == "row 17, column 'petal_width': 'abc' is not a number"


def test_the_row_is_found_in_a_later_block_too():
    good = b"1.4,0.2,setosa\n" * 700_000
    error = _fault(HEADER + good + b"1.4,0.2,setosa\n0.1,x y,setosa\n", IRIS)
    assert (error.row, error.column, error.value) == (700_002, "petal_width", "x y")


@pytest.mark.parametrize(("row", "found"), [(b"1,2\n", 2), (b"1,2,setosa,\n", 4)])
def test_a_ragged_row_is_refused_with_its_row_and_both_field_counts(row, found):
    error = _fault(HEADER + b"1,2,setosa\n\n" + row, IRIS)
    assert error.row == 2
    assert str(error) == f"row 2: has {found} fields, 3 are expected"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"\r\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(data):
    assert "empty" in str(_fault(data, IRIS))


@pytest.mark.parametrize("data", [HEADER, HEADER.rstrip(), b"\xef\xbb\xbf" + HEADER + b"\n\n"])
def test_a_header_without_a_row_is_refused(data):
    assert str(_fault(data, IRIS)) == "the file has a header but no data row"


@pytest.mark.parametrize("label", [b"", b"NaN", b"NA", b"null", b" "])
def test_a_missing_label_is_refused_with_its_row_where_labels_are_required(label):
    data = HEADER + b"1,2,setosa\n3,4," + label + b"\n"
    error = _fault(data, IRIS, require_label=True)
    assert (error.row, error.column) == (2, "species")
    _, y = _rows(data, IRIS)
    assert y[0] == 0
    assert np.isnan(y[1])


def test_a_number_label_that_is_missing_is_refused_too():
    error = _fault(b"1,2\nNaN,3\n", require_label=True)
    assert (error.row, error.column) == (2, "c0")


def test_labels_are_required_of_a_table_without_a_label_column():
    assert "no label column" in str(_fault(b"1,2\n", PLAIN, require_label=True))


def test_an_unknown_label_is_refused_with_the_known_ones():
    error = _fault(HEADER + b"1,2,tulip\n", IRIS)
    assert str(error) == "row 1, column 'species': 'tulip' is not one of the labels 'setosa', 'virginica'"


def test_a_text_label_without_a_mapping_is_refused():
    error = _fault(HEADER + b"1,2,setosa\n", replace(IRIS, types=("fractional",) * 3, label_mapping=None))
    assert (error.row, error.column, error.value) == (1, "species", "setosa")


@pytest.mark.parametrize("cell", ["", "NA", "N/A", "NaN", "nan", "null", "None", '""', " ", " NA "])
def test_a_missing_feature_is_nan(cell):
    X, _ = _rows(f"1,{cell},3\n".encode(), PLAIN)
    np.testing.assert_array_equal(X, [[1, np.nan, 3]])


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "1e39", "-1e400"])
def test_an_infinity_is_refused_with_its_place(cell):
    error = _fault(f"1,2\n1,{cell}\n".encode(), PLAIN)
    assert (error.row, error.column) == (2, "c1")
    assert "not a finite number" in str(error)


def test_a_label_that_float32_cannot_tell_from_its_neighbour_is_refused():
    schema = TableSchema("csv", ("a", "b"), ("integral", "integral"), header=False, label=0)
    assert _rows(b"16777216,1\n", schema)[1][0] == 16_777_216
    assert _fault(b"1,1\n16777217,1\n", schema).row == 2


@pytest.mark.parametrize("cell", ["+5", "5.", ".5", "5e0", "05", '"5"', " 5 "])
def test_every_usual_way_to_write_a_number_is_read(cell):
    X, _ = _rows(f"{cell},1\n".encode(), PLAIN)
    assert X[0, 0] == float(cell.strip(' "'))


@pytest.mark.parametrize("cell", ["0x10", "1_000", "５", "1,5".replace(",", ";"), "--1", "1e", "true"])
def test_what_only_looks_like_a_number_is_refused(cell):
    assert _fault(f"{cell},1\n".encode(), PLAIN).value == cell


def test_truth_values_are_one_and_zero():
    schema = TableSchema("csv", ("a", "b"), ("boolean", "fractional"), header=False)
    X, _ = _rows(b"true,1\nFalse,2\n,3\n", schema)
    np.testing.assert_array_equal(X, [[1, 1], [0, 2], [np.nan, 3]])
    assert _fault(b"yes,1\n", schema).value == "yes"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp"])
def test_japanese_names_and_labels_are_read_in_every_encoding(encoding):
    schema = TableSchema(
        "csv",
        ("花弁の長さ", "種類"),
        ("fractional", "text"),
        encoding=encoding.removesuffix("-sig"),
        label=1,
        label_mapping={"ヒオウギアヤメ": 0, "表示能力": 1},
    )
    data = "花弁の長さ,種類\r\n1.5,表示能力\r\n2.5,ヒオウギアヤメ\r\n".encode(encoding)
    X, y = _rows(data, schema)
    np.testing.assert_array_equal(X, [[1.5], [2.5]])
    np.testing.assert_array_equal(y, [1, 0])


def test_a_byte_that_is_not_in_the_encoding_is_refused_with_its_row():
    error = _fault(
        "a,b\n1,2\n3,é\n".encode("latin-1"), TableSchema("csv", ("a", "b"), ("fractional", "text"))
    )
    assert (error.row, error.value) == (2, "0xE9")


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_end_is_read(delimiter, line_end):
    text = line_end.join(delimiter.join(row) for row in (["a", "b"], ["1", "2"], ["3", "4"]))
    schema = TableSchema("csv", ("a", "b"), ("fractional",) * 2, delimiter=delimiter)
    X, _ = _rows(text.encode(), schema)
    np.testing.assert_array_equal(X, [[1, 2], [3, 4]])


def test_a_quoted_line_end_does_not_end_a_row():
    schema = TableSchema(
        "csv", ("a", "note"), ("fractional", "text"), label=1, label_mapping={"x\ny, z": 0, 'q"q': 1}
    )
    X, y = _rows(b'a,"note"\n1,"x\ny, z"\n2,"q""q"\n', schema)
    np.testing.assert_array_equal(X, [[1], [2]])
    np.testing.assert_array_equal(y, [0, 1])


def test_rows_after_a_quoted_line_end_keep_their_numbers():
    schema = TableSchema("csv", ("a", "b"), ("fractional", "text"), label=1, label_mapping={"x\ny": 0})
    assert _fault(b'a,b\n1,"x\ny"\n\nq,"x\ny"\n', schema).row == 2


def test_a_quote_that_is_never_closed_is_refused_with_its_row():
    error = _fault(b'1,2\n3,"4\n5,6\n', PLAIN)
    assert error.row == 2
    assert "never closed" in str(error)


def test_an_endless_row_is_refused():
    assert "longer than 16 MiB" in str(_fault(b"1" * (25 * 1024 * 1024), PLAIN))


def test_a_cell_over_a_mebibyte_is_refused_with_its_row():
    schema = TableSchema(
        "csv", ("a", "b"), ("fractional", "text"), header=False, label=1, label_mapping={"x": 0}
    )
    assert _fault(b"1,x\n2," + b"y" * (1024 * 1024 + 1) + b"\n", schema).row == 2


def test_gzip_is_unpacked_and_damage_is_named():
    data = gzip.compress(b"1,2\n") + gzip.compress(b"3,4\n")
    np.testing.assert_array_equal(_rows(data, PLAIN)[0], [[1, 2], [3, 4]])
    assert "gzip data is damaged" in str(_fault(data[:-5], PLAIN))


def test_a_header_that_differs_from_the_schema_is_refused():
    assert "'species' is expected" in str(_fault(b"petal_length,petal_width,label\n1,2,setosa\n", IRIS))
    assert "has 2 fields, 3 are expected" in str(_fault(b"petal_length,petal_width\n1,2\n", IRIS))


@pytest.mark.parametrize(
    ("names", "words"), [("a,,c", "position 1 has an empty name"), ("a,b,a", "positions 0 and 2")]
)
def test_empty_and_repeated_column_names_are_refused(names, words):
    reader = CsvReader(io.BytesIO(f"{names}\n1,2,3\n".encode()), encoding="utf-8", delimiter=",", header=True)
    with pytest.raises(DataError, match=words):
        list(reader.blocks())


def test_more_than_ten_thousand_columns_are_refused():
    assert "10001 columns" in str(_fault(b",".join([b"1"] * 10_001), PLAIN))
    assert _rows(b",".join([b"1"] * 10_000), PLAIN)[0].shape == (1, 10_000)


def test_a_fifo_is_read_as_it_comes(tmp_path: Path):
    fifo = tmp_path / "train_0"
    os.mkfifo(fifo)

    def feed() -> None:
        with fifo.open("wb") as file:
            for start in range(0, 30_000, 1000):
                file.write(b"".join(b"%d,%d\n" % (i % 2, i) for i in range(start, start + 1000)))

    feeder = threading.Thread(target=feed)
    feeder.start()
    batches = list(read_batches(fifo, None, batch_rows=7000))
    feeder.join()
    assert [len(batch.X) for batch in batches] == [7000, 7000, 7000, 7000, 2000]
    assert [batch.first_row for batch in batches] == [1, 7001, 14_001, 21_001, 28_001]
    np.testing.assert_array_equal(np.concatenate([batch.X[:, 0] for batch in batches]), np.arange(30_000))


def test_a_stream_given_open_stays_open():
    stream = io.BytesIO(b"1,2\n")
    list(read_batches(stream))
    assert not stream.closed


_CELLS = st.one_of(
    st.just(""),
    st.floats(-(2.0**100), 2.0**100, width=32).map(lambda x: f"{x!r}"),
    st.integers(-(10**6), 10**6).map(str),
)


@given(
    rows=st.integers(1, 6).flatmap(lambda d: st.lists(st.lists(_CELLS, min_size=d, max_size=d), min_size=1)),
    delimiter=st.sampled_from(",\t;"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    batch_rows=st.integers(1, 7),
)
def test_whatever_is_written_is_read(rows, delimiter, line_end, quoting, batch_rows):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(rows)
    schema = replace(PLAIN, delimiter=delimiter)
    X, y = _rows(text.getvalue().encode(), schema, batch_rows=batch_rows)
    expected = [[np.nan if cell == "" else np.float32(float(cell)) for cell in row] for row in rows]
    np.testing.assert_array_equal(X, np.array(expected, np.float32))
    assert y is None


@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('ab",\r\n 日'), max_size=5), min_size=2, max_size=2), min_size=1
    ),
    block_bytes=st.integers(1, 40),
)
def test_blocks_of_any_size_hold_whole_records(rows, block_bytes):
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    blocks = list(record_blocks(io.BytesIO(text.getvalue().encode()), b",", lambda: block_bytes))
    assert b"".join(blocks).decode() == text.getvalue()
    parsed = [row for block in blocks for row in csv.reader(io.StringIO(block.decode(), newline="")) if row]
    assert parsed == rows


@given(text=st.text(st.sampled_from('a1.",\n\r; é'), max_size=60))
def test_any_text_is_read_or_refused_in_our_words(text):
    try:
        for _, _, table in read_tables(io.BytesIO(text.encode()), PLAIN):
            assert table.num_rows > 0
    except DataError as error:
        assert str(error)


@given(
    rows=st.lists(
        st.tuples(
            _CELLS,
            st.text(st.sampled_from('xyz "\n,é日本'), max_size=6),
            st.sampled_from(["true", "False", ""]),
        ),
        min_size=1,
    )
)
def test_the_precise_look_gives_the_same_table_as_the_fast_one(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    reader = CsvReader(io.BytesIO(text.getvalue().encode()), encoding="utf-8", delimiter=",", header=False)
    types = ("fractional", "text", "boolean")
    for block in reader.blocks():
        assert reader.precise_table(block, types).to_pydict() == reader.table(block, types).to_pydict()
