"""XGBoost's UBJSON is read as its JSON is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris

from jobs.algorithms.xgboost.ubjson import ubjson_read


def plain(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list):
        return [plain(value) for value in found]
    return found.tolist() if isinstance(found, np.ndarray) else found


def trained(**given: Any) -> Any:
    X, y = load_iris(return_X_y=True)
    model = xgb.train({"nthread": 1, **given}, xgb.DMatrix(X, y, feature_names=["a", "é", "長", "d"]), 6)
    model.set_attr(best_iteration="3")
    return model


@pytest.mark.parametrize(
    "given",
    [{}, {"booster": "dart"}, {"booster": "gblinear"}, {"objective": "multi:softprob", "num_class": 3}],
)
def test_it_says_what_the_json_says(given: dict[str, Any]) -> None:
    model = trained(**given)
    ours = plain(ubjson_read(bytes(model.save_raw("ubj"))))
    theirs = json.loads(bytes(model.save_raw("json")), parse_float=lambda text: float(np.float32(text)))
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\x01\x00", 256),
        (b"l\xff\xff\xff\xfe", -2),
        (b"L" + (2**40).to_bytes(8, "big"), 2**40),
        (b"D\x3f\xf8\0\0\0\0\0\0", 1.5),
        (b"d\x3f\xc0\0\0", 1.5),
        (b"T", True),
        (b"F", False),
        (b"Z", None),
        (b"{}", {}),
        (b"[#L" + bytes(7) + b"\x02TF", [True, False]),
        (b"[$I#L" + bytes(7) + b"\x02\x00\x01\xff\xff", [1, -1]),
    ],
)
def test_values(text: bytes, expected: Any) -> None:
    found = plain(ubjson_read(text))
    assert found == expected and type(found) is type(expected)


def test_what_breaks_off_is_refused_wherever_it_does() -> None:
    text = bytes(trained().save_raw("ubj"))
    for end in range(0, len(text), 97):
        with pytest.raises(ValueError):
            ubjson_read(text[:end])


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"TT",
        b"[",
        b"[T]",
        b"[$x#L" + bytes(8),
        b"[$i@L" + bytes(8),
        b"Si\x03abc",
        b"SL" + b"\xff" * 8,
        b"SL" + b"\x7f" + bytes(7),
        b"{L" + bytes(7) + b"\x01a",
        (b"[#L" + bytes(7) + b"\x01") * 5000,
    ],
)
def test_what_is_no_such_text_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        ubjson_read(text)
