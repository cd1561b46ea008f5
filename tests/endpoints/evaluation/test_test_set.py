"""How a table is cut into requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from endpoints.evaluation import test_set as module
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.spec import EvaluationSpec
from endpoints.evaluation.test_set import TestSet, body_of
from mlplatform.core.errors import DataError

SCHEMA: dict[str, Any] = {
    "format": "csv",
    "columns": ["a", "b", "y"],
    "types": ["fractional", "fractional", "integral"],
    "label": 2,
}


def spec_of(tmp_path: Path, text: str, **more: Any) -> EvaluationSpec:
    (tmp_path / "data.csv").write_text(text)
    (tmp_path / "run").mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "data": str(tmp_path / "data.csv"),
        "schema": SCHEMA,
        "socket": str(tmp_path / "g.sock"),
        "token": "claim.signature",
        "project": "flowers",
        "endpoint": "iris",
        "variant": "",
        "is_classifier": True,
        "model_labels": None,
        "n_features": 2,
        "feature_names": None,
        "result": str(tmp_path / "run" / "predictions.bin"),
    }
    return EvaluationSpec(**given | more)


def _table(n: int) -> str:
    return "a,b,y\n" + "".join(f"{row},{row / 8},{row % 3}\n" for row in range(n))


@pytest.mark.parametrize(("n", "n_batches"), [(10, 3), (9000, 100), (5, 5), (1, 1), (10_000, 2)])
def test_batches_are_those_of_array_split(tmp_path: Path, n: int, n_batches: int) -> None:
    found = list(TestSet(spec_of(tmp_path, _table(n))).portions(n_batches))
    expected = np.array_split(np.arange(n), n_batches)
    assert [len(portion.X) for portion in found] == list(map(len, expected))
    assert [portion.first_row for portion in found] == [int(rows[0]) + 1 for rows in expected]
    sent = [line for portion in found for line in portion.body.decode().splitlines()]
    assert [[float(cell) for cell in line.split(",")] for line in sent] == [[r, r / 8] for r in range(n)]


def test_there_are_no_more_batches_than_rows(tmp_path: Path) -> None:
    assert TestSet(spec_of(tmp_path, _table(3))).batch_sizes(100) == [1, 1, 1]


def test_columns_are_sent_in_the_model_s_order(tmp_path: Path) -> None:
    test_set = TestSet(spec_of(tmp_path, "a,b,y\n1,2,0\n", feature_names=["b", "a"]))
    assert test_set.first().body == b"2,1.0"


def test_a_batch_too_large_for_a_request_goes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_set = TestSet(spec_of(tmp_path, _table(100)))
    monkeypatch.setattr(module, "BODY_MAX_BYTES", 200)
    found = list(test_set.portions(2))
    assert all(len(portion.body) <= 200 for portion in found)
    assert sum(len(portion.X) for portion in found) == 100
    assert {portion.batch for portion in found} == {1, 2}
    rows = [portion.first_row for portion in found]
    assert rows == [1 + sum(len(portion.X) for portion in found[:i]) for i in range(len(found))]


def test_a_batch_too_large_for_an_answer_goes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS_MAX", 1000)
    found = list(TestSet(spec_of(tmp_path, _table(100))).portions(4, n_neighbours=100))
    assert [len(portion.X) for portion in found] == [9, 8, 8] * 4


@pytest.mark.parametrize(
    ("n", "n_single", "rows"),
    [(10, 5, [0, 2, 4, 6, 8]), (3, 7, [0, 1, 2]), (1, 1, [0]), (5, 0, [])],
)
def test_single_rows_are_spread_over_the_table(
    tmp_path: Path, n: int, n_single: int, rows: list[int]
) -> None:
    assert TestSet(spec_of(tmp_path, _table(n))).single_rows(n_single) == rows


def test_numbers_come_back_as_the_float32_they_were() -> None:
    X = np.array([[1e-45, 3.4028235e38, 0.1], [-0.0, 16777216, 1 / 3], [10, 0.5, 1e20]], np.float32)
    lines = body_of(X).decode().splitlines()
    assert (np.array([list(map(float, line.split(","))) for line in lines], np.float32) == X).all()


def test_labels_that_are_all_missing_are_none(tmp_path: Path) -> None:
    assert TestSet(spec_of(tmp_path, "a,b,y\n1,2,\n3,4,NA\n")).labels is None
    found = TestSet(spec_of(tmp_path, "a,b,y\n1,2,\n3,4,1\n")).labels
    assert found is not None
    assert np.isnan(found).tolist() == [True, False]


def test_another_number_of_columns_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="has 2 feature columns; the model expects 54"):
        TestSet(spec_of(tmp_path, _table(3), n_features=54))


def test_a_cell_that_is_no_number_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2.*'b'"):
        TestSet(spec_of(tmp_path, "a,b,y\n1,2,0\n1,two,0\n"))
