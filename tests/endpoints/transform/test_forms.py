"""Records in and out: cut, filtered, joined, and answers cut into one for each."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from endpoints.transform.answers import answers_of
from endpoints.transform.failure import TransformFailed
from endpoints.transform.forms import Cells, RecordForm, csv_line
from endpoints.transform.preview import ANSWER, preview_rows
from endpoints.transform.records import csv_rows, records_read
from endpoints.transform.spec import TransformSpec
from mlplatform.core.errors import DataError

SPEC = TransformSpec(
    inputs=[],
    socket="",
    content_type="text/csv",
    accept="",
    split_type="Line",
    batch_strategy="MultiRecord",
    max_payload_bytes=1000,
    max_concurrent=1,
    input_filter="$",
    output_filter="$",
    join="None",
)
SCHEMA = {
    "format": "csv",
    "columns": ["x", "y", "kind"],
    "types": ["fractional", "fractional", "text"],
    "delimiter": ";",
    "header": True,
    "label": 2,
}


def form(**changes: Any) -> RecordForm:
    return RecordForm.of(replace(SPEC, **changes))


def read(tmp_path: Path, content: bytes, **changes: Any) -> list[Any]:
    path = tmp_path / "data"
    path.write_bytes(content)
    return list(records_read(path, replace(SPEC, **changes)))


def test_rows_keep_quoted_line_ends_and_pass_over_blank_lines(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbf1,"a\nb"\n\n2,c\n') == [["1", "a\nb"], ["2", "c"]]


def test_gzip_is_unpacked_and_lines_are_cut(tmp_path: Path) -> None:
    content = gzip.compress(b'{"a": 1}\r\n{"a": 2}')
    assert read(tmp_path, content, content_type="application/jsonlines") == [b'{"a": 1}', b'{"a": 2}']


def test_the_header_of_a_dataset_is_no_record(tmp_path: Path) -> None:
    assert read(tmp_path, b"x;y;kind\n1;2;a\n", schema=SCHEMA) == [["1", "2", "a"]]


def test_a_whole_object_is_one_record_and_may_be_too_large(tmp_path: Path) -> None:
    assert read(tmp_path, b"\x00\x01", split_type="None", content_type="image/png") == [b"\x00\x01"]
    with pytest.raises(TransformFailed, match="max_payload_mb"):
        read(tmp_path, b"0" * 1001, split_type="None", content_type="image/png")


def test_a_line_that_no_request_can_carry_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransformFailed) as failed:
        read(tmp_path, b"a\n" + b"0" * 5000, content_type="text/plain")
    assert failed.value.record == 2


def test_bytes_of_another_encoding_are_refused_with_their_row() -> None:
    with pytest.raises(DataError) as refused:
        list(csv_rows(io.BytesIO(b"1,2\n" * 9000 + b"\xff,3\n")))
    assert "UTF-8" in str(refused.value)


def test_filters_of_rows_and_objects() -> None:
    assert form(input_filter="$[0,2]").sent(["1", "2", "3"], 1) == b"1,3"
    assert form(schema=SCHEMA, input_filter="$['y','x']").sent(["1", "2", "a"], 1) == b"2,1"
    lines = form(content_type="application/jsonlines", input_filter="$.features")
    assert lines.sent(b'{"features": [1, 2], "id": 7}', 1) == b"[1,2]"
    with pytest.raises(TransformFailed, match="record 3: input_filter"):
        lines.sent(b'{"id": 7}', 3)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Cells(["0.5"]), b"1,2,0.5"),
        ({"predicted_label": 1.0, "scores": [0.1, 0.9]}, b'1,2,1.0,"[0.1,0.9]"'),
        (3, b"1,2,3"),
    ],
)
def test_a_row_is_joined_by_further_columns(answer: Any, line: bytes) -> None:
    assert form(join="Input").line(["1", "2"], answer, 1) == line


def test_an_object_is_joined_by_a_key_and_anything_else_wrapped() -> None:
    joined = form(content_type="application/jsonlines", join="Input")
    assert json.loads(joined.line(b'{"id": 1}', {"p": 2}, 1)) == {"id": 1, "SageMakerOutput": {"p": 2}}
    assert json.loads(joined.line(b"[1]", Cells(["2"]), 1)) == {"SageMakerInput": [1], "SageMakerOutput": "2"}
    few = form(content_type="application/jsonlines", join="Input", output_filter="$['id','SageMakerOutput']")
    assert json.loads(few.line(b'{"id": 1, "x": 9}', 5, 1)) == {"id": 1, "SageMakerOutput": 5}


def test_a_join_of_a_dataset_has_names() -> None:
    joined = form(schema=SCHEMA, join="Input", output_filter="$[0,-1]")
    assert joined.has_header
    assert joined.header({"predicted_label": 1}) == b"x,predicted_label"
    assert joined.line(["1", "2", "a"], {"predicted_label": 1}, 1) == b"1,1"


def test_cells_are_quoted_only_where_they_must_be() -> None:
    assert csv_line(["a", 1, 0.5, None, True]) == b"a,1,0.5,,true"
    assert csv_line(['say "hi"', "a,b", "c\nd"]) == b'"say ""hi""","a,b","c\nd"'
    assert csv_line([""]) == b'""'


@pytest.mark.parametrize(
    ("body", "content_type", "parsed", "answers"),
    [
        (b'{"predictions": [{"a": 1}, {"a": 2}]}', "application/json", True, [{"a": 1}, {"a": 2}]),
        (b"[1, 2]", "application/json", False, [1, 2]),
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonlines", True, [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonlines", False, [b'{"a": 1}', b'{"a": 2}']),
        (b"1,2\r\n3,4\r\n", "text/csv; charset=utf-8", True, [["1", "2"], ["3", "4"]]),
        (b"1\n2\n", "text/csv", False, [b"1", b"2"]),
    ],
)
def test_an_answer_is_cut_into_one_for_each(
    body: bytes, content_type: str, parsed: bool, answers: list[Any]
) -> None:
    assert answers_of(body, content_type, 2, 1, parsed=parsed) == answers


def test_an_answer_that_is_short_names_the_records() -> None:
    with pytest.raises(TransformFailed, match="records 5 to 6: the model answered 1 lines"):
        answers_of(b"1\n", "text/csv", 2, 5, parsed=False)
    assert answers_of(b'{"x": [1, 2]}', "application/json", 1, 5, parsed=True) == [{"x": [1, 2]}]


def test_the_preview_says_what_goes_in_and_comes_out() -> None:
    rows = preview_rows(form(schema=SCHEMA, input_filter="$[0:2]", join="Input"), [["1", "2", "a"], ["3"]])
    assert (rows[0].record, rows[0].sent, rows[0].line) == ("1,2,a", "1,2", f"1,2,a,{ANSWER}")
    missing = preview_rows(form(input_filter="$[5]"), [["1"]])
    assert "record 1" in missing[0].error
