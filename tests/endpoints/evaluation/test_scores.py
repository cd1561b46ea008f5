"""Scores agree with scikit-learn's, whatever the labels and predictions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)

from endpoints.evaluation.classification import CONFUSION_LABELS_MAX, ClassificationTally
from endpoints.evaluation.labels import LabelNames
from endpoints.evaluation.regression import RegressionTally

_names = st.sampled_from(["setosa", "versicolor", "virginica", "日本", "0", "10", "9"])


def _tally(pairs: list[tuple[str, str]]) -> ClassificationTally:
    tally = ClassificationTally()
    for label, prediction in pairs:
        tally.add(label, prediction)
    return tally


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_names, _names), min_size=1, max_size=60))
def test_classification_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    y, predicted = zip(*pairs, strict=True)
    summary = _tally(pairs).summary()
    labels = summary["labels"]
    assert summary["accuracy"] == pytest.approx(accuracy_score(y, predicted))
    assert summary["confusion"] == confusion_matrix(y, predicted, labels=labels).tolist()
    each = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    for position, row in enumerate(summary["classes"]):
        expected = [column[position] for column in each]
        assert [row[name] for name in ("precision", "recall", "f1", "support")] == pytest.approx(expected)
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(
            y, predicted, labels=labels, average=average, zero_division=0
        )[:3]
        assert list(summary[average].values()) == pytest.approx(expected)


def test_labels_that_are_numbers_are_in_order_of_value() -> None:
    assert _tally([("10", "9"), ("2", "10")]).labels == ["2", "9", "10"]


def test_no_rows_give_no_ratios() -> None:
    summary = _tally([]).summary()
    assert (summary["accuracy"], summary["labels"], summary["classes"]) == (None, [], [])


def test_the_matrix_is_left_out_when_nobody_could_read_it() -> None:
    pairs = [(str(number), str(number)) for number in range(CONFUSION_LABELS_MAX + 1)]
    assert "confusion" not in _tally(pairs).summary()


_values = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_values, _values), min_size=2, max_size=60))
def test_regression_agrees_with_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    y, predicted = zip(*pairs, strict=True)
    tally = RegressionTally()
    for label, prediction in pairs:
        tally.add(label, prediction)
    summary = tally.summary()
    assert summary["rmse"] == pytest.approx(math.sqrt(mean_squared_error(y, predicted)))
    assert summary["mae"] == pytest.approx(mean_absolute_error(y, predicted))
    spread = max(y) - min(y)
    if spread > 1e-3:
        assert summary["r2"] == pytest.approx(r2_score(y, predicted), rel=1e-6, abs=1e-6)


def test_large_labels_do_not_cancel() -> None:
    tally = RegressionTally()
    for label in (1e9, 1e9 + 1, 1e9 + 2):
        tally.add(label, label + 0.5)
    assert tally.summary()["r2"] == pytest.approx(1 - 0.75 / 2)


def test_equal_labels_have_no_r2() -> None:
    tally = RegressionTally()
    tally.add(1.0, 2.0)
    tally.add(1.0, 1.0)
    assert tally.summary()["r2"] is None


def test_codes_are_shown_by_the_name_of_their_mapping() -> None:
    names = LabelNames({"setosa": 0, "virginica": 1})
    assert [names.name(code) for code in (0.0, 1.0, 2.0)] == ["setosa", "virginica", "2"]
    assert LabelNames(None).name(3.0) == "3"
    assert LabelNames(None).name(0.1) == "0.1"
