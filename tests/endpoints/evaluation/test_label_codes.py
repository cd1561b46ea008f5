"""Labels of a table and of a model are compared by name, whatever their codes."""

from __future__ import annotations

import numpy as np
import pytest

from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.label_codes import NO_LABEL, LabelCodes, names_shown
from endpoints.evaluation.labels import LabelNames


def _codes(labelled: dict[str, int] | None = None, predicted: dict[str, int] | None = None) -> LabelCodes:
    return LabelCodes(LabelNames(labelled), LabelNames(predicted))


def _floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_same_name_has_one_position_whoever_uses_it() -> None:
    codes = _codes({"cat": 0, "dog": 1}, {"ant": 0, "cat": 1, "dog": 2})
    labelled = codes.labelled(_floats(0, 1, 1))
    predicted = codes.predicted(_floats(1, 2, 0))
    assert [codes.names[position] for position in predicted] == ["cat", "dog", "ant"]
    assert (labelled == predicted).tolist() == [True, True, False]


def test_a_missing_label_has_a_position_of_its_own() -> None:
    assert _codes().labelled(_floats(3, np.nan)).tolist() == [0, NO_LABEL]


def test_ranks_are_by_value_also_when_labels_come_later() -> None:
    codes = _codes()
    codes.labelled(_floats(9))
    assert codes.predicted_ranks(_floats(5, 7))[0].tolist() == [0, 1]
    ranks, positions = codes.predicted_ranks(_floats(7, 1, 9, 5))
    assert ranks.tolist() == [2, 0, 3, 1]
    assert [codes.names[position] for position in positions] == ["1", "5", "7", "9"]
    assert {codes.names[position] for position in codes.answered} == {"1", "5", "7", "9"}


def test_labels_are_shown_numbers_first_and_by_value() -> None:
    codes = _codes({"b": 0, "10": 1, "9": 2, "a": 3, "inf": 4})
    codes.labelled(_floats(0, 1, 2, 3, 4))
    assert [codes.names[position] for position in codes.order()] == ["9", "10", "a", "b", "inf"]


def test_too_many_labels_are_refused() -> None:
    codes = _codes()
    codes.predicted(np.arange(NO_LABEL, dtype=np.float32))
    with pytest.raises(RunFailed, match="more than 65535 different labels"):
        codes.predicted(_floats(1e6))


def test_long_names_are_shortened_and_stay_different() -> None:
    shown = names_shown(["x" * 100, "x" * 101, "short"])
    assert len(set(shown)) == 3
    assert max(map(len, shown)) < 90
    assert shown[2] == "short"
