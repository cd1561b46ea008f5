"""A message keeps its template, so that a face can show it in another language."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from django.utils import translation

from mlplatform.core.errors import DataError, FieldError, InvalidRequest
from mlplatform.core.text import Text, from_json, text, text_join, text_of, to_json
from mlplatform.core.translation import translated, translated_error

NESTED = text(
    "{value} is not accepted; use {accepted}",
    value='"0"',
    accepted=text("a whole number from {low} to {high}", low="1", high="1,024"),
)
ENGLISH = '"0" is not accepted; use a whole number from 1 to 1,024'
JAPANESE = '"0" は受け付けられません。1 から 1,024 までの整数を指定してください'


def test_a_text_is_its_english_and_braces_in_a_parameter_stay() -> None:
    assert NESTED == ENGLISH
    assert text("{a} is here", a="{b}") == "{b} is here"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_text_is_translated_with_the_texts_inside_it(language: str) -> None:
    with translation.override(language):
        assert translated(NESTED) == (JAPANESE if language == "ja" else ENGLISH)
        assert translated("as it is {not}") == "as it is {not}"


@pytest.mark.parametrize(
    "again",
    [
        lambda found: from_json(json.loads(json.dumps(to_json(found)))),
        lambda found: pickle.loads(pickle.dumps(found)),
        copy.deepcopy,
    ],
    ids=["json", "pickle", "copy"],
)
def test_a_text_survives_a_journey(again: object) -> None:
    found = again(NESTED)  # type: ignore[operator]
    assert isinstance(found, Text)
    assert (found, found.template, found.params) == (NESTED, NESTED.template, NESTED.params)
    with translation.override("ja"):
        assert translated(found) == JAPANESE


def test_plain_text_is_plain_in_json_and_old_text_is_read() -> None:
    assert to_json("old") == "old"
    assert from_json("old") == "old"


def test_what_an_exception_says_keeps_its_template() -> None:
    assert isinstance(text_of(ValueError(NESTED)), Text)
    assert text_of(ValueError("plain")) == "plain"


def test_parts_are_joined_and_each_is_translated() -> None:
    found = text_join("; {} ", [NESTED, "plain {x}"])
    assert found == f"{ENGLISH}; {{}} plain {{x}}"
    with translation.override("ja"):
        assert translated(found) == f"{JAPANESE}; {{}} plain {{x}}"


def test_an_error_of_several_fields_is_translated_in_all_its_parts() -> None:
    error = InvalidRequest.for_fields([FieldError("k", NESTED), FieldError("name", "plain")])
    assert error.message == f"k: {ENGLISH}; name: plain"
    with translation.override("ja"):
        shown = translated_error(error)
    assert shown.message == f"k: {JAPANESE}; name: plain"
    assert [one.message for one in shown.errors] == [JAPANESE, "plain"]
    assert error.message == f"k: {ENGLISH}; name: plain"


def test_the_place_of_a_fault_in_data_is_translated() -> None:
    error = DataError(NESTED, row=3, column="width")
    assert str(error) == f"row 3, column 'width': {ENGLISH}"
    with translation.override("ja"):
        assert translated(error.text) == f"3 行目、列 'width': {JAPANESE}"
