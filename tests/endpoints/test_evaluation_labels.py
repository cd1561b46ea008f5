"""Which labels of a dataset a model cannot know, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.services.evaluation_labels import labels_complaint

TEXTS = {"setosa": 0, "versicolor": 1, "virginica": 2}


def complaint(
    manifest: dict[str, Any],
    *,
    texts: dict[str, int] | None = None,
    low: float | None = None,
    high: float | None = None,
    label: int | None = 1,
) -> str:
    columns: list[dict[str, Any]] = [{"name": "a"}, {"name": "label", "min": low, "max": high}]
    return str(
        labels_complaint(schema={"label": label, "label_mapping": texts}, columns=columns, manifest=manifest)
    )


def test_the_same_texts_in_any_order_and_fewer_of_them_are_known() -> None:
    assert complaint({"label_mapping": TEXTS}, texts={"virginica": 0, "setosa": 1}) == ""


def test_texts_that_the_model_never_saw_are_named_beside_those_it_knows() -> None:
    said = complaint({"label_mapping": TEXTS}, texts={"setosa": 0, "lily": 1, "rose": 2})
    assert said == (
        "it has labels that the model never saw: “lily”, “rose”; the model knows “setosa”, “versicolor”, “virginica”"
    )


def test_of_many_or_long_texts_a_few_are_shown_shortly() -> None:
    many = {f"label {place}": place for place in range(99)}
    assert "“label 4”, …; the model" in complaint({"label_mapping": TEXTS}, texts=many)
    assert len(complaint({"label_mapping": TEXTS}, texts={"x" * 5000: 0})) < 200


def test_texts_for_a_model_of_numbers() -> None:
    said = complaint({"label_mapping": None, "predictor_type": "classifier"}, texts=TEXTS)
    assert said == "its labels are text (“setosa”, “versicolor”, “virginica”); those of the model are numbers"
    said = complaint({"label_mapping": None, "predictor_type": "regressor"}, texts=TEXTS)
    assert "the model predicts a number" in said
    boolean = {"false": 0, "true": 1}
    assert complaint({"label_mapping": None, "predictor_type": "regressor"}, texts=boolean) == ""


@pytest.mark.parametrize(
    ("low", "high", "known"), [(0, 2, True), (1, 1, True), (0, 3, False), (-1, 2, False)]
)
def test_numbers_are_the_codes_of_a_model_of_texts(low: float, high: float, known: bool) -> None:
    said = complaint({"label_mapping": TEXTS}, low=low, high=high)
    assert (said == "") == known
    assert known or "or their numbers 0 to 2" in said


@pytest.mark.parametrize(("low", "high", "known"), [(1, 7, True), (2, 5, True), (1, 8, False), (0, 7, False)])
def test_numbers_beyond_those_of_the_training_data(low: float, high: float, known: bool) -> None:
    manifest = {"label_mapping": None, "predictor_type": "classifier", "label_range": [1.0, 7.0]}
    said = complaint(manifest, low=low, high=high)
    assert (said == "") == known
    assert known or f"they go from {low} to {high}, those of the training data from 1 to 7" in said
    assert complaint(manifest | {"predictor_type": "regressor"}, low=low, high=high) == ""


def test_what_is_not_known_is_not_complained_of() -> None:
    assert complaint({}, texts=TEXTS) == ""
    assert complaint({"label_mapping": None}, low=0, high=9) == ""
    assert complaint({"label_mapping": TEXTS}, low=None, high=None) == ""
    assert complaint({"label_mapping": TEXTS}, texts={"lily": 0}, label=None) == ""


@pytest.mark.parametrize("made_by_hand", [["setosa"], {"setosa": "0"}, 7, "setosa"])
def test_a_manifest_that_somebody_made_by_hand_may_say_anything(made_by_hand: Any) -> None:
    assert complaint({"label_mapping": made_by_hand}, texts=TEXTS) == ""
    assert complaint({"label_mapping": None, "label_range": made_by_hand}, low=0, high=9) == ""
