"""The file of predictions is written with numpy and read without."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from endpoints.evaluation import predictions
from endpoints.evaluation.predictions import Predictions, PredictionsHeader, dtype_for, predictions_write
from mlplatform.core.errors import InvalidRequest

LABELS = [0, 1, 255, 2, 1]
BY_K = [[0, 1, 1, 1, 1], [0, 2, 2, 1, 0]]


def _classes(path: Path, ks: tuple[int, ...] | None = (1, 100)) -> Path:
    header = PredictionsHeader(5, len(ks or (0,)), ks, ("a", "b", "c"), "u1")
    planes = [np.array(plane, "u1") for plane in BY_K]
    predictions_write(path, header, np.array(LABELS, "u1"), planes[: header.n_k])
    return path


def _open(path: Path) -> Predictions:
    content = path.read_bytes()
    return Predictions(lambda offset, size: content[offset : offset + size])


def _numbers(opened: Predictions, **wanted: object) -> list[int]:
    return [row["row"] for row in opened.rows(**wanted).rows]


def test_rows_have_label_and_prediction_at_k(tmp_path: Path) -> None:
    rows = _open(_classes(tmp_path / "p")).rows(k=1)
    assert rows.n_found == 5
    assert rows.rows[0] == {"row": 1, "label": "a", "prediction": "a", "correct": True}
    assert rows.rows[2] == {"row": 3, "label": None, "prediction": "b", "correct": None}
    assert rows.rows[3] == {"row": 4, "label": "c", "prediction": "b", "correct": False}


def test_rows_are_chosen_by_label_prediction_and_fault(tmp_path: Path) -> None:
    opened = _open(_classes(tmp_path / "p"))
    assert _numbers(opened, k=100, only_wrong=True) == [2, 4, 5]
    assert _numbers(opened, only_wrong=True) == [2, 4, 5]  # the largest k
    assert _numbers(opened, k=1, label="b") == [2, 5]
    assert _numbers(opened, k=100, label="b", prediction="c") == [2]
    assert _numbers(opened, k=100, prediction="c") == [2, 3]


def test_pages_of_rows_know_how_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "_PIECE_ROWS", 2)
    opened = _open(_classes(tmp_path / "p"))
    page = opened.rows(k=100, only_wrong=True, offset=1, limit=1)
    assert ([row["row"] for row in page.rows], page.n_found) == ([4], 3)


def test_values_have_errors(tmp_path: Path) -> None:
    header = PredictionsHeader(2, 1, None, None, "f4")
    predictions_write(tmp_path / "p", header, np.array([1, math.nan], "<f4"), [np.array([1.5, 2], "<f4")])
    assert _open(tmp_path / "p").rows().rows == [
        {"row": 1, "label": 1.0, "prediction": 1.5, "correct": None, "error": 0.5},
        {"row": 2, "label": None, "prediction": 2.0, "correct": None, "error": None},
    ]


@pytest.mark.parametrize(
    ("wanted", "field"), [({"k": 2}, "k"), ({"label": "d"}, "label"), ({"prediction": "d"}, "prediction")]
)
def test_what_is_not_in_the_file_is_refused(tmp_path: Path, wanted: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _open(_classes(tmp_path / "p")).rows(**wanted)
    assert [error.field for error in refused.value.errors] == [field]


def test_predictions_of_no_k_have_one_only(tmp_path: Path) -> None:
    opened = _open(_classes(tmp_path / "p", ks=None))
    assert _numbers(opened, only_wrong=True) == [4]
    with pytest.raises(InvalidRequest):
        opened.rows(k=1)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    content = _classes(tmp_path / "p").read_bytes()
    read: list[tuple[int, int]] = []

    def piece(offset: int, size: int) -> bytes:
        read.append((offset, size))
        return content[offset : offset + size]

    Predictions(piece).rows(k=1, limit=1)
    assert sum(size for _, size in read) == len(content) - 5  # but for the plane of the other k


@pytest.mark.parametrize("length", [0, 5, 12, 40, -1])
def test_a_damaged_file_is_told(tmp_path: Path, length: int) -> None:
    content = _classes(tmp_path / "p").read_bytes()[:length]
    with pytest.raises(ValueError, match=r"predictions"):
        Predictions(lambda offset, size: content[offset : offset + size]).rows(k=100)


def test_a_position_beyond_the_labels_is_told(tmp_path: Path) -> None:
    content = _classes(tmp_path / "p").read_bytes()[:-1] + b"\x07"
    with pytest.raises(ValueError, match="none of the labels"):
        Predictions(lambda offset, size: content[offset : offset + size]).rows(k=100)


def test_a_large_number_stays_free_for_no_label() -> None:
    assert (dtype_for(255), dtype_for(256)) == ("u1", "u2")


def test_reading_needs_no_numpy() -> None:
    code = "import sys, endpoints.evaluation.predictions; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
