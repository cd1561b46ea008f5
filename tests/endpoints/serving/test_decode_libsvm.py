"""Requests in LibSVM text."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from endpoints.serving.decode import decode
from jobs.algorithms.base import LIBSVM
from jobs.algorithms.registry import algorithm_get
from mlplatform.core.errors import DataError, UnsupportedMediaType


@pytest.mark.parametrize("body", [b"0:1.5 2:-3\n\n1:2", b"1 0:1.5 2:-3\r\n0 1:2 # said aside\r\n"])
@pytest.mark.parametrize("kind", [b"text/libsvm", b"text/x-libsvm; charset=utf-8"])
def test_rows_with_and_without_labels(body: bytes, kind: bytes) -> None:
    X = decode(body, kind, 3, accepted=LIBSVM, missing=True)
    np.testing.assert_array_equal(X, np.float32([[1.5, nan, -3], [nan, 2, nan]]))
    np.testing.assert_array_equal(decode(body, kind, 3, accepted=LIBSVM), np.nan_to_num(X))
    assert X.dtype == np.float32


@pytest.mark.parametrize(
    ("body", "row", "words"),
    [
        (b" \n", None, "the body is empty"),
        (b"0:1\n1 1:2\n", 1, "'0:1' is no label"),
        (b"1 0:1\n1 3:2\n", 2, "has index 3; with 3 columns the largest is 2"),
        (b"1 0:1\n1 0:a\n", 2, "'a' is not a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(body: bytes, row: int | None, words: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(body, b"text/libsvm", 3, accepted=LIBSVM)
    assert caught.value.row == row
    assert words in caught.value.message


def test_only_xgboost_takes_them() -> None:
    assert set(LIBSVM) < set(algorithm_get("xgboost").request_content_types)
    with pytest.raises(UnsupportedMediaType):
        decode(b"0:1", b"text/libsvm", 1, accepted=algorithm_get("knn").request_content_types)
