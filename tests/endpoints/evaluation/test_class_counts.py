"""Scores of counts agree with scikit-learn's; intervals cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from endpoints.evaluation import class_counts
from endpoints.evaluation.class_counts import ClassCounts

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=50)


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=200, deadline=None)
@given(pairs)
def test_averages_agree_with_scikit_learn(found: list[tuple[int, int]]) -> None:
    """Labels that are only predicted, or never, or everywhere, among them."""
    y, predicted = np.array(found).T
    scores = ClassCounts(y, predicted, 9).scores()
    assert scores["accuracy"] == accuracy_score(y, predicted)
    for average in ("weighted", "macro", "micro"):
        expected = f1_score(y, predicted, average=average, zero_division=0)
        assert scores[f"f1_{average}"] == pytest.approx(expected, rel=1e-14, abs=1e-15)


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_classes_agree_with_scikit_learn(found: list[tuple[int, int]]) -> None:
    y, predicted = np.array(found).T
    counts = ClassCounts(y, predicted, 7)
    assert counts.confusion is not None
    assert counts.confusion.tolist() == confusion_matrix(y, predicted, labels=range(7)).tolist()
    each = precision_recall_fscore_support(y, predicted, labels=range(7), zero_division=0)
    for position in range(7):
        row = counts.of_label(position)
        expected = [column[position] for column in each]
        assert [row[name] for name in ("precision", "recall", "f1", "support")] == pytest.approx(expected)
        for name, (low, high) in row["intervals"].items():
            assert 0 <= low <= row[name] <= high <= 1


def test_many_labels_are_scored_without_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    y = chance.integers(0, 40, 700)
    predicted = np.where(chance.random(700) < 0.7, y, chance.integers(0, 40, 700))
    dense = ClassCounts(y, predicted, 40)
    monkeypatch.setattr(class_counts, "_DENSE_LABELS", 39)
    sparse = ClassCounts(y, predicted, 40)
    assert sparse.confusion is None
    assert sparse.scores() == dense.scores()
    for name, interval in dense.intervals().items():
        assert sparse.intervals()[name] == pytest.approx(interval, rel=1e-9)
    assert sparse.of_label(3) == dense.of_label(3)


def test_a_thousand_labels_agree_with_scikit_learn() -> None:
    chance = np.random.default_rng(1)
    y, predicted = chance.integers(0, 1000, (2, 5000))
    predicted[:2500] = y[:2500]
    scores = ClassCounts(y, predicted, 1000).scores()
    for average in ("weighted", "macro", "micro"):
        expected = f1_score(y, predicted, average=average, zero_division=0)
        assert scores[f"f1_{average}"] == pytest.approx(expected, rel=1e-12)


def _drawn(chance: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Four classes, the rarest one row in twenty, each confused in its own way."""
    y = chance.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    given_label = np.array([[0.9, 0.05, 0.05, 0], [0.1, 0.8, 0.1, 0], [0, 0.2, 0.7, 0.1], [0, 0, 0.3, 0.7]])
    return y, (given_label.cumsum(axis=1)[y] < chance.random(n)[:, None]).sum(axis=1)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    chance = np.random.default_rng(2)
    truth = ClassCounts(*_drawn(chance, 1_000_000), 4).scores()
    n_covered = dict.fromkeys(truth, 0)
    for _ in range(400):
        intervals = ClassCounts(*_drawn(chance, 600), 4).intervals()
        for name, (low, high) in intervals.items():
            n_covered[name] += low <= truth[name] <= high
    for name, n in n_covered.items():  # 380 expected; three deviations of the binomial are 13
        assert 362 <= n <= 396, name


def test_the_variance_of_averages_is_the_bootstrap_s() -> None:
    chance = np.random.default_rng(3)
    y, predicted = _drawn(chance, 2000)
    counts = ClassCounts(y, predicted, 4)
    drawn = []
    for _ in range(400):
        rows = chance.integers(0, 2000, 2000)
        scores = ClassCounts(y[rows], predicted[rows], 4).scores()
        drawn.append((scores["f1_macro"], scores["f1_weighted"]))
    spreads = np.std(drawn, axis=0)
    assert counts._macro_variance() ** 0.5 == pytest.approx(spreads[0], rel=0.12)
    assert counts._weighted_variance() ** 0.5 == pytest.approx(spreads[1], rel=0.12)


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong_are_not_taken_for_certain(right: bool) -> None:
    y = np.array([0, 1] * 20)
    intervals = ClassCounts(y, y if right else 1 - y, 2).intervals()
    for low, high in intervals.values():
        assert (
            (low, high) == (pytest.approx(0.9124, abs=1e-4), 1.0)
            if right
            else (0.0, pytest.approx(0.0876, abs=1e-4))
        )
