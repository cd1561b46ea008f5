"""Cells of Arrow as numbers of numpy; and what reading numbers does not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.tabular.arrays import table_arrays
from mlplatform.core.tabular.schema import TableSchema

_READ = """
import sys
from pathlib import Path
from mlplatform.core.tabular.read import read_batches
n = sum(len(batch.X) for batch in read_batches(Path(sys.argv[1]), SCHEMA, require_label=True))
heavy = ("pandas", "pyarrow.compute", "pyarrow.csv", "pyarrow.json", "pyarrow.parquet")
print(n, sorted(set(heavy) & set(sys.modules)))
"""


def schema(n_columns: int) -> TableSchema:
    names = tuple(f"c{n}" for n in range(n_columns))
    return TableSchema(format="parquet", columns=names, types=("fractional",) * n_columns, label=0)


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64()]
)
def test_numbers_of_every_width_come_as_they_are(kind):
    cells = [[3, 1, 2], [], [100], [7, 0]]
    column = pa.chunked_array([pa.array(chunk, kind) for chunk in cells])
    label = pa.chunked_array([pa.array([0.0] * 6)])
    X, y = table_arrays(pa.table([label, column], ["0", "1"]), schema(2), 1, require_label=True)
    assert X[:, 0].tolist() == [3, 1, 2, 100, 7, 0]
    assert y is not None and y.tolist() == [0] * 6


def test_a_part_of_a_column_comes_from_its_place():
    column = pa.chunked_array([pa.array(np.arange(100.0))]).slice(37, 5)
    label = pa.chunked_array([pa.array([1.0] * 5)])
    X, _y = table_arrays(pa.table([label, column], ["0", "1"]), schema(2), 1, require_label=True)
    assert X[:, 0].tolist() == [37, 38, 39, 40, 41]


def test_missing_cells_are_nan_and_truth_is_one():
    columns = [
        pa.array([1, 2]),
        pa.array([None, 5], pa.int32()),
        pa.array([True, None]),
        pa.array([False, True]),
    ]
    X, _y = table_arrays(pa.table(columns, ["0", "1", "2", "3"]), schema(4), 1, require_label=True)
    np.testing.assert_array_equal(X, np.array([[np.nan, 1, 0], [5, np.nan, 1]], np.float32))


def test_a_column_without_any_row_is_empty():
    empty = pa.chunked_array([], pa.float64())
    X, y = table_arrays(pa.table([empty, empty], ["0", "1"]), schema(2), 1, require_label=True)
    assert X.shape == (0, 1)
    assert y is not None and len(y) == 0


@pytest.mark.parametrize(("format", "loaded"), [("parquet", "pyarrow.parquet"), ("csv", "pyarrow.csv")])
def test_reading_numbers_loads_one_reader_and_neither_pandas_nor_arrows_functions(
    format: str, loaded: str, tmp_path: Path
) -> None:
    """Together they are 60 MB and half a second of every job."""
    names, data = ["c0", "c1"], np.arange(20.0).reshape(2, 10)
    path = tmp_path / f"data.{format}"
    if format == "parquet":
        pq.write_table(pa.table(list(data), names), path)
    else:
        path.write_text("c0,c1\n" + "".join(f"{a},{b}\n" for a, b in data.T))
    given = {"format": format, "columns": names, "types": ["fractional"] * 2, "label": 0}
    code = (
        f"from mlplatform.core.tabular.schema import TableSchema\nSCHEMA = TableSchema.from_dict({given!r})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code + _READ, str(path)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == f"10 ['{loaded}']"
