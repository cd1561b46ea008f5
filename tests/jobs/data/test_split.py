"""Splits: exactly scikit-learn's rows, and cells that keep their text."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from jobs.data.inspect import file_inspect
from jobs.data.parts import row_parts
from jobs.data.sample_list import SAMPLES
from jobs.data.samples import sample_write
from jobs.data.split import file_split
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.tabular.read import read_batches

SHARED = PROJECT_ROOT / "../shared/data"


def _split(path: Path, fractions, *, label=None, header=None, **options):
    schema = file_inspect(path, label=label, header=header).profile.schema
    folder = path.parent / "parts"
    folder.mkdir(exist_ok=True)
    return {part.name: part for part in file_split(path, schema, fractions, folder=folder, **options)}


def _numbers(part):
    (batch,) = read_batches(part.path, part.schema, require_label=True)
    return batch.X, batch.y


def test_iris_gives_the_rows_of_train_test_split_and_37_of_38(tmp_path):
    sample_write("iris", tmp_path / "iris.csv")
    parts = _split(tmp_path / "iris.csv", {"train": 0.75, "test": 0.25}, label="Species")
    (X, y), (X_test, y_test) = _numbers(parts["train"]), _numbers(parts["test"])
    expected = train_test_split(*load_iris(return_X_y=True), test_size=0.25, random_state=0)
    for ours, theirs in zip((X, X_test, y, y_test), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(np.float32))
    assert (len(X), len(X_test)) == (112, 38)
    assert KNeighborsClassifier(1).fit(X, y).score(X_test, y_test) == 37 / 38


@given(
    n_rows=st.integers(4, 300),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
    shuffle=st.booleans(),
)
def test_two_parts_are_those_of_scikit_learn(n_rows, fraction, seed, shuffle):
    random_state = seed if shuffle else None
    try:
        expected = train_test_split(
            np.arange(n_rows), test_size=fraction, random_state=random_state, shuffle=shuffle
        )
    except ValueError:
        with pytest.raises(InvalidRequest):
            row_parts(n_rows, {"train": 1 - fraction, "test": fraction}, seed=seed, shuffle=shuffle)
        return
    parts = row_parts(n_rows, {"train": 1 - fraction, "test": fraction}, seed=seed, shuffle=shuffle)
    np.testing.assert_array_equal(parts["train"], expected[0])
    np.testing.assert_array_equal(parts["test"], expected[1])


@given(seed=st.integers(0, 1000), shares=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_fractions_that_leave_rows_over_are_scikit_learn_s_train_size(seed, shares):
    train, test = shares[0] / 20, shares[1] / 20
    expected = train_test_split(np.arange(97), train_size=train, test_size=test, random_state=seed)
    parts = row_parts(97, {"train": train, "test": test}, seed=seed)
    np.testing.assert_array_equal(parts["train"], expected[0])
    np.testing.assert_array_equal(parts["test"], expected[1])


@given(seed=st.integers(0, 1000))
def test_stratified_parts_are_those_of_scikit_learn(seed):
    labels = load_iris().target
    expected = train_test_split(np.arange(150), test_size=0.2, random_state=seed, stratify=labels)
    parts = row_parts(150, {"train": 0.8, "test": 0.2}, seed=seed, labels=labels)
    np.testing.assert_array_equal(parts["test"], expected[1])
    assert np.bincount(labels[parts["test"]]).tolist() == [10, 10, 10]


@given(n_rows=st.integers(10, 500), n_parts=st.integers(3, 6), seed=st.integers(0, 1000))
def test_many_parts_share_all_rows_and_no_row_twice(n_rows, n_parts, seed):
    names = ["train", *(f"p{i}" for i in range(1, n_parts))]
    parts = row_parts(n_rows, dict.fromkeys(names, 1 / n_parts), seed=seed)
    assert list(parts) == names
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(n_rows))
    assert all(abs(len(rows) - n_rows / n_parts) <= 1 for rows in parts.values())


def test_train_remains_wherever_it_is_named():
    parts = row_parts(150, {"test": 0.25, "train": 0.75}, seed=0)
    assert (len(parts["train"]), len(parts["test"])) == (112, 38)


def test_cells_keep_their_text(tmp_path):
    rows = [
        ["1.50", "x, y", "007"],
        ["2e0", 'say "hi"', "-0"],
        ["3", "two\nlines", ""],
        ["+4.", "日本", "1_x"],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([["a", "花;b", "c"], *rows])
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(text.getvalue().encode("cp932")))
    parts = _split(path, {"train": 0.5, "test": 0.5})
    found = []
    for part in parts.values():
        assert part.schema.encoding == "utf-8"
        with part.path.open(encoding="utf-8", newline="") as file:
            header, *body = csv.reader(file, delimiter=";")
        assert header == ["a", "花;b", "c"]
        assert part.n_rows == len(body) == 2
        found += body
    assert sorted(found) == sorted(rows)


def test_a_file_without_header_gets_one(tmp_path):
    (tmp_path / "t.csv").write_text("1,2\n\n3,4\n5,6")
    parts = _split(tmp_path / "t.csv", {"train": 0.6, "test": 0.4}, label=0, shuffle=False)
    assert parts["train"].path.read_text() == "c0,c1\n1,2\n"
    assert parts["test"].path.read_text() == "c0,c1\n3,4\n5,6\n"
    assert parts["test"].schema.header


_TEXTS = st.text(st.sampled_from('ab",\n\r é'), max_size=4).map(lambda text: "t" + text)


@given(rows=st.lists(st.tuples(_TEXTS, _TEXTS), min_size=4, max_size=20), end=st.sampled_from(["\n", "\r\n"]))
def test_no_row_is_lost_or_changed(tmp_path_factory, rows, end):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    schema = file_inspect(path, header=True, delimiter=",", encoding="utf-8").profile.schema
    found = []
    for part in file_split(path, schema, {"x": 0.5, "y": 0.5}, folder=path.parent):
        with part.path.open(encoding="utf-8", newline="") as file:
            found += [tuple(row) for row in csv.reader(file)][1:]
    assert sorted(found) == sorted(rows)


def test_parquet_keeps_its_types(tmp_path):
    table = pa.table(
        {
            "small": pa.array(range(100), pa.int8()),
            "half": pa.array(np.arange(100, dtype=np.float32) / 2),
            "kind": pa.array(["x", "y"] * 50).dictionary_encode(),
            "gap": pa.array([None, True] * 50),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=30)
    parts = _split(tmp_path / "t.parquet", {"train": 0.7, "test": 0.3}, label="kind")
    train, test = (pq.read_table(parts[name].path) for name in ("train", "test"))
    expected = train_test_split(np.arange(100), test_size=0.3, random_state=0)
    assert train.column("small").to_pylist() == expected[0].tolist()
    assert test.column("small").to_pylist() == expected[1].tolist()
    assert train.schema.equals(table.schema)
    assert train.column("gap").to_pylist() == [[None, True][i % 2] for i in expected[0]]


def test_json_lines_are_split_line_by_line(tmp_path):
    lines = [json.dumps({"features": [i, 0.10], "label": i % 2}) for i in range(10)]
    (tmp_path / "t.jsonl").write_text("\ufeff" + "\n\n".join(lines))
    parts = _split(tmp_path / "t.jsonl", {"train": 0.8, "test": 0.2}, label="label", stratify=True)
    found = [line for part in parts.values() for line in part.path.read_text().splitlines()]
    assert sorted(found) == sorted(lines)
    assert sorted(_numbers(parts["test"])[1].tolist()) == [0, 1]


def test_stratify_follows_text_labels(tmp_path):
    sample_write("iris", tmp_path / "iris.csv")
    parts = _split(
        tmp_path / "iris.csv", {"a": 0.6, "b": 0.2, "c": 0.2}, label="Species", stratify=True, seed=3
    )
    assert [np.bincount(_numbers(part)[1].astype(int)).tolist() for part in parts.values()] == [
        [30, 30, 30],
        [10, 10, 10],
        [10, 10, 10],
    ]


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"fractions": {"a": 0.5, "b": 0.6}}, "fractions", "add up to 1.1"),
        ({"fractions": {"a": 0.5}}, "fractions", "two or more"),
        ({"fractions": {"a": 1.0, "b": 0.1}}, "fractions.a", "0 < fraction < 1"),
        ({"fractions": {"train": 0.01, "test": 0.99}}, "fractions", "no row of the 3"),
        ({"fractions": {"a": 0.5, "b": 0.5}, "stratify": True}, "stratify", "no label column"),
        (
            {"fractions": {"a": 0.5, "b": 0.5}, "stratify": True, "label": "k"},
            "stratify",
            "least populated class",
        ),
    ],
)
def test_a_split_that_cannot_be_is_refused(tmp_path, options, field, words):
    (tmp_path / "t.csv").write_text("a,k\n1,x\n2,y\n3,y\n")
    with pytest.raises(InvalidRequest, match=words) as caught:
        _split(tmp_path / "t.csv", **options)
    assert caught.value.errors[0].field == field


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
def test_covertype_is_split_in_constant_memory(tmp_path):
    path = SHARED / "covtype/covtype.parquet"
    schema = file_inspect(path, label="Cover_Type").profile.schema
    parts = file_split(path, schema, {"train": 0.9, "test": 0.1}, folder=tmp_path, seed=0)
    assert [part.n_rows for part in parts] == [522_910, 58_102]
    expected = train_test_split(np.arange(581_012), test_size=0.1, random_state=0)[1]
    whole = pq.read_table(path)
    assert pq.read_table(parts[1].path).equals(whole.take(pa.array(expected)))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_samples_are_as_they_are_described(tmp_path, sample):
    path = tmp_path / "sample.csv"
    assert sample_write(sample.name, path) == sample.label
    found = file_inspect(path, label=sample.label)
    assert found.profile.n_rows == sample.n_rows
    assert found.profile.schema.n_features == sample.n_features
    assert "text" not in {
        kind for i, kind in enumerate(found.profile.schema.types) if i != found.profile.schema.label
    }


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
def test_the_iris_sample_is_the_well_known_file(tmp_path):
    sample_write("iris", tmp_path / "iris.csv")
    assert (tmp_path / "iris.csv").read_bytes() == (SHARED / "iris/iris.csv").read_bytes()


def test_samples_keep_every_digit(tmp_path):
    from sklearn.datasets import load_diabetes

    sample_write("diabetes", tmp_path / "d.csv")
    values = np.loadtxt(tmp_path / "d.csv", delimiter=",", skiprows=1)
    found = load_diabetes()
    np.testing.assert_array_equal(values[:, :-1], found.data)
    np.testing.assert_array_equal(values[:, -1], found.target)
