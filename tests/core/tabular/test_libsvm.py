"""LibSVM text, beside scikit-learn's reader of it."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from mlplatform.core.errors import DataError
from mlplatform.core.tabular import libsvm
from mlplatform.core.tabular.libsvm import (
    dense,
    labels_add,
    libsvm_batches,
    libsvm_width,
    lines_of,
    rows_parse,
)

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda value: f"{value:.9g}")
rows = st.tuples(numbers, st.dictionaries(st.integers(0, 60), numbers, max_size=6))
blanks = st.sampled_from([" ", "  ", "\t"])
ends = st.sampled_from(["\n", " \n", "\r\n", " # 1:2 said aside\n", "\n\n", "\n# a line of its own\n"])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A file of one row and more, as anybody may write it; the last line may lack its end."""
    lines = []
    for label, cells in draw(st.lists(rows, min_size=1, max_size=15)):
        pairs = [f"{index}:{value}" for index, value in sorted(cells.items())]
        lines.append(draw(blanks).join([label, *pairs]) + draw(ends))
    text = "".join(lines)
    return (text.rstrip() if draw(st.booleans()) else text).encode()


def read(text: bytes, n_features: int, *, batch_rows: int = 7, absent: float = 0.0):
    batches = list(
        libsvm_batches(io.BytesIO(text), n_features=n_features, batch_rows=batch_rows, absent=absent)
    )
    assert [len(batch.X) for batch in batches[:-1]] == [batch_rows] * (len(batches) - 1)
    assert [batch.first_row for batch in batches] == [1 + n * batch_rows for n in range(len(batches))]
    return np.concatenate([batch.X for batch in batches]), np.concatenate([batch.y for batch in batches])


@settings(max_examples=40, deadline=None)
@given(text=texts())
def test_it_reads_what_scikit_learn_reads(text: bytes) -> None:
    X_sparse, y_wanted = load_svmlight_file(io.BytesIO(text), zero_based=True)
    width = libsvm_width(io.BytesIO(text))
    assert width == max(1, X_sparse.shape[1])
    wanted = np.zeros((len(y_wanted), width))
    wanted[:, : X_sparse.shape[1]] = X_sparse.toarray()
    X, y = read(text, width)
    assert X.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(X, wanted.astype(np.float32))
    np.testing.assert_array_equal(y, y_wanted.astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(text=texts())
def test_what_a_row_leaves_out_is_missing_where_that_is_asked_for(text: bytes) -> None:
    width = libsvm_width(io.BytesIO(text))
    X, _ = read(text, width, absent=math.nan)
    zeros, _ = read(text, width)
    is_said = ~np.isnan(X)
    np.testing.assert_array_equal(X[is_said], zeros[is_said])
    assert not zeros[~is_said].any()


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_indices_are_positions_as_xgboost_takes_them(tmp_path: Path) -> None:
    import xgboost

    text = b"1 1:5 3:6\n0 2:7\n"
    (tmp_path / "rows").write_bytes(text)
    theirs = xgboost.DMatrix(f"{tmp_path / 'rows'}?format=libsvm")
    ours, _ = read(text, libsvm_width(io.BytesIO(text)), absent=math.nan)
    there = theirs.get_data().tocoo()
    assert theirs.num_col() == ours.shape[1] == 4
    assert {(r, c): v for r, c, v in zip(there.row, there.col, there.data, strict=True)} == {
        (r, c): ours[r, c] for r, c in np.argwhere(~np.isnan(ours))
    }


def test_indices_need_not_be_in_order_and_a_value_may_be_missing_where_absent_ones_are() -> None:
    X, _ = read(b"1 3:1 0:2\n2 1:nan\n", 4, absent=math.nan)
    np.testing.assert_array_equal(X, [[2, math.nan, math.nan, 1], [math.nan] * 4])


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (b"1:2 3:4", "label", "'1:2' is no label"),
        (b"yes 1:2", "label", "'yes' is not a number"),
        (b"nan 1:2", "label", "'nan' is not a number"),
        (b"1e300 1:2", "label", "is not a finite number"),
        (b"1 qid:3 1:2", "qid", "'qid:3' is a group of a ranking, which is not supported"),
        (b"1 1:x", "1", "'x' is not a number"),
        (b"1 1:nan", "1", "'nan' is not a number"),
        (b"1 1:-inf", "1", "is not a finite number"),
        (b"1 1:1e39", "1", "is not a finite number"),
        (b"1 1:2:3", "1", "'2:3' is not a number"),
        (b"1 1: 2", "1", "'' is not a number"),
        (b"1 -1:2", None, "'-1:2' is not index:value"),
        (b"1 1.5:2", None, "'1.5:2' is not index:value"),
        (b"1 7", None, "'7' is not index:value"),
        (b"1 2:1 3:1 2:4", "2", "has index 2 more than once"),
        (b"1 4:1", "4", "has index 4; with 4 columns the largest is 3"),
        (b"1 123456789:1", "123456789", "is beyond the 10,000 columns"),
        (b"\xff 1:2", "label", "is not a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(line: bytes, column: str | None, words: str) -> None:
    text = b"# a comment\n0 1:1\n\n1 2:3\n" + line + b"\n1 0:1\n"
    for batch_rows in (1, 100):
        with pytest.raises(DataError) as caught:
            list(libsvm_batches(io.BytesIO(text), n_features=4, batch_rows=batch_rows))
        assert (caught.value.row, caught.value.column) == (3, column)
        assert words in caught.value.message


@pytest.mark.parametrize("text", [b"", b"\n\n", b"# nothing\n"])
def test_a_file_without_rows_is_refused(text: bytes) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        libsvm_width(io.BytesIO(text))
    with pytest.raises(DataError, match="the file is empty"):
        list(libsvm_batches(io.BytesIO(text), n_features=1))


@settings(max_examples=40, deadline=None)
@given(text=texts())
def test_requests_may_leave_all_labels_out(text: bytes) -> None:
    lines = lines_of(text)
    width = libsvm_width(io.BytesIO(text))
    bare = [line.partition(b" ")[2] for line in (b" ".join(line.split()) + b"\n" for line in lines)]
    labelled = dense(rows_parse(labels_add(lines)), n_features=width, absent=0.0)
    if all(line.strip() for line in bare):  # a row without any index is its label alone
        without = dense(rows_parse(labels_add(bare)), n_features=width, absent=0.0)
        np.testing.assert_array_equal(labelled, without)
    np.testing.assert_array_equal(labelled, read(text, width)[0])


def test_long_rows_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long rows are, a batch takes no more memory than it may."""
    monkeypatch.setattr(libsvm, "_BATCH_BYTES", 100)
    text = "".join(f"{row} 0:{row} 9:{'1' * 30}\n" for row in range(1, 12)).encode()
    batches = list(libsvm_batches(io.BytesIO(text), n_features=10, batch_rows=5))
    assert [len(batch.X) for batch in batches] == [3, 3, 3, 2]
    assert [batch.first_row for batch in batches] == [1, 4, 7, 10]
    assert np.concatenate([batch.X[:, 0] for batch in batches]).tolist() == list(range(1, 12))
