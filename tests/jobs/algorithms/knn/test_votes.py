"""Majority vote, mean and the scores of a test channel."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error

from jobs.algorithms.knn.votes import majority, mean
from jobs.algorithms.scores import ClassifierScore, RegressorScore


@pytest.mark.parametrize(
    ("labels", "winner"),
    [
        ([7], 7),
        ([7, 3], 3),
        ([7, 7, 3], 7),
        ([3, 7, 7, 3], 3),
        ([7, 3, 7, 3, 9, 9], 3),
        ([9, 9, 9, 1, 1, 5], 9),
        ([-1, 0, 0, -1], -1),
        ([0.5, 0.25, 0.5], 0.5),
    ],
)
def test_the_most_frequent_label_wins_and_the_smallest_on_a_tie(labels, winner):
    for order in (labels, labels[::-1]):
        assert majority(np.array([order], np.float32)).tolist() == [winner]


def test_votes_agree_with_counting_by_hand():
    labels = np.random.default_rng(0).integers(0, 6, (500, 11)).astype(np.float32)
    for row, winner in zip(labels, majority(labels), strict=True):
        counts = Counter(row.tolist())
        assert winner == min(label for label in counts if counts[label] == max(counts.values()))


def test_no_rows_give_no_votes():
    assert majority(np.empty((0, 3), np.float32)).shape == (0,)
    assert mean(np.empty((0, 3), np.float32)).shape == (0,)


def test_the_mean_is_summed_exactly_enough():
    labels = np.array([[2**24, 1, 1, 2]], np.float32)
    assert mean(labels).tolist() == [(2**24 + 4) / 4]


def test_scores_agree_with_scikit_learn_batch_by_batch():
    random = np.random.default_rng(2)
    y = random.choice([3.0, 7.0, 0.5, 9.0], 1000).astype(np.float32)
    predicted = np.where(random.random(1000) < 0.7, y, random.choice([3.0, 7.0, 11.0], 1000)).astype(
        np.float32
    )
    score = ClassifierScore()
    for start in range(0, 1000, 300):
        score.update(predicted[start : start + 300], y[start : start + 300])
    texts, wanted = predicted.astype(str), y.astype(str)
    assert score.values() == pytest.approx(
        {
            "accuracy": accuracy_score(wanted, texts),
            "macro_f_1.000": f1_score(wanted, texts, average="macro", zero_division=0),
        }
    )


def test_squared_errors_agree_with_scikit_learn():
    random = np.random.default_rng(3)
    y, predicted = random.normal(1000, 1, (2, 500)).astype(np.float32)
    score = RegressorScore()
    score.update(predicted[:100], y[:100])
    score.update(predicted[100:], y[100:])
    assert score.values()["mse"] == pytest.approx(
        mean_squared_error(y.astype(float), predicted.astype(float)), rel=1e-6
    )


def test_without_rows_scores_are_not_numbers():
    assert np.isnan(RegressorScore().values()["mse"])
    assert np.isnan(ClassifierScore().values()["accuracy"])
