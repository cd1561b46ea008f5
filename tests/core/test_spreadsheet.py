"""CSV for spreadsheets: what is a formula to them, what is a number, and letters beyond ASCII."""

from __future__ import annotations

import csv
import io

import pytest

from mlplatform.core.spreadsheet import BOM, csv_chunks


def cells(*row: object) -> list[str]:
    text = b"".join(csv_chunks(["name"], [row], bom=False)).decode()
    return list(csv.reader(io.StringIO(text)))[1]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"])
def test_text_that_begins_as_a_formula_does_is_text(text: str) -> None:
    assert cells(text) == [f"'{text}"]


def test_numbers_keep_their_sign_and_digits_and_nothing_is_empty() -> None:
    assert cells(-0.1, 0.9736842105263158, 7, None, {"ä": 1}) == [
        "-0.1",
        "0.9736842105263158",
        "7",
        "",
        '{"ä": 1}',
    ]


def test_quotes_commas_and_line_breaks_stay_in_their_cell() -> None:
    assert cells('a "b", c', "two\nlines") == ['a "b", c', "two\nlines"]


def test_the_mark_of_utf_8_is_there_only_where_it_is_wanted() -> None:
    with_mark = b"".join(csv_chunks(["名前"], []))
    assert with_mark == BOM + b"".join(csv_chunks(["名前"], [], bom=False))
    assert with_mark.decode("utf-8-sig") == "名前\r\n"
