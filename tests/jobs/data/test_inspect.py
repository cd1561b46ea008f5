"""What is found in an uploaded file, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from jobs.data.inspect import file_inspect, table_inspect
from jobs.data.samples import sample_write
from jobs.data.sniff import layout_sniff
from jobs.data.statistics import NumberStatistics, TextStatistics
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import DataError, InvalidRequest
from mlplatform.core.tabular.read import read_batches

SHARED = PROJECT_ROOT / "../shared/data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")


@pytest.fixture
def inspect(tmp_path: Path):
    def run(data: bytes | str, **options):
        path = tmp_path / "data"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return file_inspect(path, **options).to_dict()

    return run


def tarred(data: bytes, mode: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:
        member = tarfile.TarInfo("table.csv")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def _types(found) -> list[str]:
    return [column["type"] for column in found["columns"]]


def test_iris_is_described_as_numpy_describes_it(tmp_path):
    sample_write("iris", tmp_path / "iris.csv")
    found = file_inspect(tmp_path / "iris.csv", label="Species").to_dict()
    X = load_iris().data
    for place, column in enumerate(found["columns"][:4]):
        values = X[:, place]
        assert column["type"] == "fractional"
        assert (column["min"], column["max"]) == (values.min(), values.max())
        assert math.isclose(column["mean"], values.mean(), rel_tol=1e-12)
        assert math.isclose(column["std"], values.std(), rel_tol=1e-12)
        assert column["distinct"] == len(set(values))
        counts, edges = np.histogram(values, bins=20)
        assert column["histogram"] == {"edges": edges.tolist(), "counts": counts.tolist()}
    assert found["columns"][4]["histogram"] == {
        "values": ["setosa", "versicolor", "virginica"],
        "counts": [50, 50, 50],
    }
    assert found["n_rows"] == len(found["sample"]["rows"]) == 150
    assert len(found["preview"]) == 100
    assert found["preview"][0] == ["5.1", "3.5", "1.4", "0.2", "setosa"]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", ""], "integral"),
        (["1", "2.0"], "fractional"),
        (["1", "1e3"], "fractional"),
        (["true", "False", "NA"], "boolean"),
        (["true", "1"], "text"),
        (["a", "1"], "text"),
        (["", "NaN"], "fractional"),
        (["99999999999999999999", "1"], "fractional"),
        (["007", "-3", "+4"], "integral"),
    ],
)
def test_types_follow_from_all_cells(inspect, cells, kind):
    rows = "".join(f"{cell},0\n" for cell in cells)
    assert _types(inspect("a,b\n" + rows, header=True)) == [kind, "integral"]


def test_a_column_of_nine_tenths_numbers_is_meant_to_be_one(inspect):
    nine = "a,b\n" + "1,0\n" * 9 + "x,0\n"
    with pytest.raises(DataError) as caught:
        inspect(nine)
    assert (caught.value.row, caught.value.column, caught.value.value) == (10, "a", "x")
    assert (
        str(caught.value) == "row 10, column 'a': 'x' is not a number, but 9 of 10 cells of this column are"
    )
    assert _types(inspect("a,b\n" + "1,0\n" * 8 + "x,0\n"))[0] == "text"


def test_the_first_text_is_found_in_a_later_block(inspect):
    rows = b"1.5,2,3\n" * 700_000
    with pytest.raises(DataError) as caught:
        inspect(b"a,b,c\n" + rows + b"1,2,3\n1,n.a.,3\n" + rows)
    assert (caught.value.row, caught.value.column, caught.value.value) == (700_002, "b", "n.a.")


def test_a_type_may_change_in_a_later_block(inspect):
    found = inspect(b"a,b,c\n" + b"1,2,true\n" * 500_000 + b"1.5,2,x\n" + b"1,2,true\n" * 500_000)
    assert _types(found) == ["fractional", "integral", "text"]
    assert found["n_rows"] == 1_000_001
    assert found["columns"][2]["histogram"] == {"values": ["true", "x"], "counts": [1_000_000, 1]}


def test_a_header_row_that_was_said_to_be_data_is_pointed_out(inspect):
    with pytest.raises(DataError, match="does the first row name the columns") as caught:
        inspect("a,b\n" + "1,2\n" * 20, header=False)
    assert (caught.value.row, caught.value.column) == (1, "c0")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\n1,2\n", True),
        ("1,2\n3,4\n", False),
        ("a,1\nb,2\n", False),
        ("a,a\n1,2\n", False),
        ("a,\n1,2\n", False),
        ("x,y\nz,w\n", True),
    ],
)
def test_a_header_is_told_from_data(tmp_path, text, header):
    (tmp_path / "t").write_text(text)
    assert layout_sniff(tmp_path / "t").header is header


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_the_delimiter_is_found(inspect, delimiter):
    found = inspect(delimiter.join(["a b", "c", "d"]) + "\n" + delimiter.join(["1", "2", "3"]) + "\n")
    assert found["schema"]["delimiter"] == delimiter
    assert found["schema"]["columns"] == ["a b", "c", "d"]


def test_a_delimiter_inside_text_does_not_mislead(inspect):
    found = inspect("name;note\n" + "".join(f"{i};a, b and, c{i}\n" for i in range(20)))
    assert found["schema"]["columns"] == ["name", "note"]


JAPANESE = "長さ,種類\n" + "1.5,あやめ\n2.5,かきつばた\n3.5,花菖蒲\n" * 30


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp"])
def test_the_encoding_is_found(inspect, encoding):
    found = inspect(JAPANESE.encode(encoding), label="種類")
    assert found["schema"]["encoding"] == encoding.removesuffix("-sig")
    assert found["schema"]["columns"] == ["長さ", "種類"]
    assert found["schema"]["label_mapping"] == {"あやめ": 0, "かきつばた": 1, "花菖蒲": 2}
    assert bool(found["warnings"]) == (not encoding.startswith("utf"))


def test_the_encoding_is_found_where_only_the_last_row_shows_it(inspect):
    found = inspect(b"a,b\n" + b"1,x\n" * 400_000 + "2,あやめ\n".encode("cp932"))
    assert found["schema"]["encoding"] == "cp932"


def test_half_width_katakana_of_cp932_are_read(inspect):
    found = inspect("ｶﾅ,値段は\nｱｲｳですよね,1\n".encode("cp932"), encoding="Shift_JIS")
    assert found["schema"]["columns"] == ["ｶﾅ", "値段は"]


def test_other_bytes_need_an_encoding(inspect):
    data = "name,b\nJos\xe9,1\n".encode("latin-1")
    with pytest.raises(DataError, match="save it as UTF-8"):
        inspect(b"\xff" + data)
    assert inspect(data, encoding="latin-1")["preview"] == [["José", "1"]]
    with pytest.raises(InvalidRequest, match="use utf-8, cp932 or euc-jp"):
        inspect(data, encoding="utf-7")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"PK\x03\x04abc", "Excel workbook"),
        (b"\x89PNG\r\n", "image"),
        (b"%PDF-1.4", "PDF"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a\0b,1\n", "binary"),
        (tarred(b"a,b\n1,2\n", "w"), "tar archive; unpack it"),
        (tarred(b"a,b\n1,2\n", "w:gz"), "tar archive; unpack it"),
        (b'[{"a": 1}]\n', "one object per line"),
        (b"a,b\n", "no data row"),
        (b"a,b\n1,2\n3,4,5\n", "row 2: has 3 fields, 2 are expected"),
        (b"a,b\n1,1e39\n", "row 1, column 'b': '1e\\+39' is not a finite number"),
        (b"a,b\n" + b"1,2\n" * 10 + b"1,inf\n", "row 11, column 'b': 'inf' is not a number"),
    ],
)
def test_what_is_no_table_is_refused(inspect, data, words):
    with pytest.raises(DataError, match=words):
        inspect(data, header=True)


@pytest.mark.parametrize(("label", "place"), [("b", 1), (1, 1), (-1, 2), ("0", 0), ("2", 1), (" c", 0)])
def test_a_label_is_named_or_counted_and_a_name_goes_first(inspect, label, place):
    columns = {"2": "c,2,b", " c": "c,b,x"}.get(str(label), "a,b,c")
    assert inspect(columns + "\n1,2,3\n", label=label, header=True)["schema"]["label"] == place


@pytest.mark.parametrize("label", ["d", 3, -4, "1.5", "a,b"])
def test_a_label_that_is_no_column_is_refused_with_the_columns(inspect, label):
    with pytest.raises(InvalidRequest, match="use one of a, b, c, or a position from 0 to 2"):
        inspect("a,b,c\n1,2,3\n", label=label)


@pytest.mark.parametrize("kind", ["text", "number", "boolean"])
def test_a_missing_label_is_refused_with_its_row(inspect, kind):
    cell = {"text": "x", "number": "1", "boolean": "true"}[kind]
    with pytest.raises(DataError) as caught:
        inspect(f"a,b\n1,{cell}\n2,NA\n", label="b")
    assert (caught.value.row, caught.value.column) == (2, "b")


def test_labels_are_numbered_in_their_order(inspect):
    found = inspect("a,b\n1,z\n2,A\n3,a\n4,あ\n", label="b")
    assert found["schema"]["label_mapping"] == {"A": 0, "a": 1, "z": 2, "あ": 3}
    assert inspect("a,b\n1,true\n2,false\n", label="b")["schema"]["label_mapping"] == {"false": 0, "true": 1}
    assert inspect("a,b\n1,3\n2,5\n", label="b")["schema"]["label_mapping"] is None


def test_a_label_of_too_many_texts_is_refused(inspect):
    rows = "".join(f"1,t{i}\n" for i in range(10_001))
    with pytest.raises(DataError, match="more than 10000 different texts"):
        inspect("a,b\n" + rows, label="b")
    column = inspect("a,b\n" + rows)["columns"][1]
    assert (column["distinct"], column["distinct_exceeded"]) == (10_000, True)


def test_a_number_label_beyond_float32_is_refused(inspect):
    with pytest.raises(DataError, match=r"row 2, column 'b': '16777217' is too large for a label"):
        inspect("a,b\n1,1\n2,16777217\n", label="b")


def test_a_known_schema_keeps_types_and_mapping(tmp_path, inspect):
    found = inspect("a,b\n1.5,x\n2,y\n", label="b")
    (tmp_path / "part").write_text("a,b\n2,y\n")
    from mlplatform.core.tabular.schema import TableSchema

    again = table_inspect(tmp_path / "part", TableSchema.from_dict(found["schema"]), 1).to_dict()
    assert again["schema"] == found["schema"]


def test_numbers_with_many_values_have_a_histogram_too(inspect):
    values = np.random.default_rng(1).normal(size=30_000)
    column = inspect("a\n" + "\n".join(map(repr, values.tolist())), header=True)["columns"][0]
    counts, edges = np.histogram(values, bins=20)
    assert (column["distinct"], column["distinct_exceeded"]) == (10_000, True)
    assert column["histogram"] == {"edges": edges.tolist(), "counts": counts.tolist()}


def test_the_sample_is_random_seeded_and_in_file_order(inspect):
    text = "a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(5000))
    rows = inspect(text)["sample"]["rows"]
    places = [row[0] for row in rows]
    assert len(places) == len(set(places)) == 1000
    assert places == sorted(places)
    assert all(row[1] == row[0] % 7 for row in rows)
    assert 2300 < np.mean(places) < 2700
    assert inspect(text)["sample"]["rows"] == rows


def test_a_wide_table_shows_fewer_rows(inspect):
    line = ",".join(["1"] * 2000) + "\n"
    found = inspect(line * 200, header=False)
    assert len(found["preview"]) == len(found["sample"]["rows"]) == 50
    assert len(found["columns"]) == 2000


def test_parquet_and_json_lines_are_inspected_alike(inspect):
    table = pa.table(
        {"a": [1, 2, None], "b": [1.5, float("nan"), 3.0], "c": [True, False, None], "d": ["x", None, "x"]}
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    lines = (
        '{"a": 1, "b": 1.5, "c": true, "d": "x"}\n{"a": 2, "b": NaN, "c": false, "d": null}\n'
        '{"a": null, "b": 3.0, "c": null, "d": "x"}\n'
    )
    ours, theirs = inspect(sink.getvalue()), inspect(gzip.compress(lines.encode()))
    assert ours["schema"].pop("format") == "parquet"
    assert theirs["schema"].pop("format") == "jsonlines"
    assert ours == theirs
    assert _types(ours) == ["integral", "fractional", "boolean", "text"]
    assert [column["missing"] for column in ours["columns"]] == [1, 1, 1, 1]
    assert ours["preview"] == [["1", "1.5", "true", "x"], ["2", "", "false", ""], ["", "3", "", "x"]]


def test_json_lines_of_two_kinds_in_a_column_are_refused(inspect):
    with pytest.raises(DataError, match="row 2, column 'a': 'x' is of another kind"):
        inspect('{"a": 1}\n{"a": "x"}\n{"a": 2}\n')
    with pytest.raises(DataError, match="row 3, column 'a': '2' is of another kind"):
        inspect('{"a": "x"}\n{"a": "y"}\n{"a": 2}\n')


def test_warnings_name_what_may_surprise(inspect):
    found = inspect("a,b,c,d,e\n1,x,,20000000,7\n2,y,,1,\n1,z,,5,8\n", label="a")
    assert found["warnings"] == [
        "Column 'b' is text; algorithms that need numbers cannot use it",
        "Column 'c' has no value in any row",
        "Column 'd' has numbers over 16777216, which float32 rounds",
        "Column 'e' has 1 missing cells; not every algorithm accepts them",
    ]


@needs_shared
def test_real_files_are_understood():
    abalone = file_inspect(SHARED / "abalone/abalone.data", label=-1).to_dict()
    assert (abalone["n_rows"], abalone["schema"]["header"], _types(abalone)[0]) == (4177, False, "text")
    churn = file_inspect(SHARED / "churn/training-dataset-with-header.csv", label="Churn").to_dict()
    assert (churn["n_rows"], len(churn["columns"]), churn["schema"]["label"]) == (2333, 70, 0)
    covertype = file_inspect(SHARED / "covtype/covtype.parquet", label="Cover_Type").to_dict()
    assert covertype["n_rows"] == 581_012
    assert sum(covertype["columns"][54]["histogram"]["counts"]) == 581_012
    assert (covertype["columns"][54]["min"], covertype["columns"][54]["max"]) == (1, 7)


_VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=60)


@given(values=_VALUES, cut=st.integers(0, 60), limit=st.integers(1, 30))
def test_running_statistics_are_those_of_the_whole(values, cut, limit):
    found = NumberStatistics(limit)
    for piece in (values[:cut], values[cut:]):
        found.add(pa.chunked_array([pa.array(piece, pa.float64())]))
    known = np.array([value for value in values if value == value])
    summary = found.summary()
    assert summary["missing"] == len(values) - len(known)
    if not len(known):
        assert summary["mean"] is summary["std"] is None
        assert found.histogram() == {"edges": [], "counts": []}
        return
    assert (summary["min"], summary["max"]) == (known.min(), known.max())
    assert math.isclose(summary["mean"], known.mean(), rel_tol=1e-9, abs_tol=1e-6)
    assert math.isclose(summary["std"], known.std(), rel_tol=1e-6, abs_tol=1e-4)
    distinct = len(np.unique(known))
    assert summary["distinct_exceeded"] == (distinct > limit)
    assert summary["distinct"] == min(distinct, limit)
    if found.exceeded:
        found.add_to_histogram(pa.chunked_array([pa.array(values, pa.float64())]))
    assert sum(found.histogram()["counts"]) == len(known)


def test_a_large_mean_loses_no_digits_of_the_spread():
    found = NumberStatistics()
    for start in range(0, 1000, 10):
        found.add(pa.chunked_array([pa.array([1e9 + i % 2 for i in range(start, start + 10)])]))
    assert math.isclose(found.summary()["std"], 0.5, rel_tol=1e-9)


@given(texts=st.lists(st.sampled_from("abcde") | st.none(), max_size=40), cut=st.integers(0, 40))
def test_texts_are_counted(texts, cut):
    found = TextStatistics()
    for piece in (texts[:cut], texts[cut:]):
        found.add(pa.chunked_array([pa.array(piece, pa.string())]))
    known = [text for text in texts if text is not None]
    histogram = found.histogram()
    assert dict(zip(histogram["values"], histogram["counts"], strict=True)) == {
        t: known.count(t) for t in known
    }
    assert found.summary()["missing"] == texts.count(None)


_CELLS = st.sampled_from(["1", "2.5", "-3", "", "x", "true", "NA", '"', "a,b", "1\n2"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=12))
def test_what_is_accepted_can_be_read_and_counted(tmp_path, rows):
    import csv

    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("first", "second"), *rows])
    try:
        found = file_inspect(path, header=True, delimiter=",")
    except DataError as error:
        assert error.row is not None
        return
    schema = found.profile.schema
    assert found.profile.n_rows == len(rows) == len(found.profile.preview)
    if "text" not in schema.types:
        X = np.concatenate([batch.X for batch in read_batches(path, schema)])
        assert np.isnan(X).sum(axis=0).tolist() == [column["missing"] for column in found.profile.columns]
