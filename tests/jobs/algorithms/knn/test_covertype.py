"""Published figures of a managed k-NN service on UCI Covertype, through the whole job process."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.core.env import PROJECT_ROOT
from tests.contracts.job_folder import JobFolder

COVERTYPE = PROJECT_ROOT.parent / "shared" / "data" / "covtype" / "covtype.parquet"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COVERTYPE.exists(), reason="../shared/data/covtype is not there"),
]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """All rows in the order of the well-known split: the first 522,910 train, the rest test."""
    table = pq.read_table(COVERTYPE)
    rows = np.arange(table.num_rows)
    np.random.seed(0)
    np.random.shuffle(rows)
    return table.take(rows)


@pytest.mark.parametrize(
    ("index", "n_test", "published", "tolerance"),
    [
        (
            {"index_type": "faiss.IVFPQ", "faiss_index_ivf_nlists": "500", "faiss_index_pq_m": "8"},
            58_102,
            0.804,
            0.01,
        ),
        # A part of the test rows: their own accuracy varies by 0.006 (one standard deviation).
        ({"index_type": "faiss.Flat"}, 4_000, 0.812, 0.02),
    ],
)
def test_the_published_accuracy_is_reproduced(table, index, n_test, published, tolerance, tmp_path: Path):
    schema = {
        "format": "parquet",
        "columns": table.column_names,
        "types": ["integral"] * 55,
        "label": 54,
    }
    folder = JobFolder(
        root=tmp_path,
        algorithm="knn",
        hyperparameters={"k": "100", "predictor_type": "classifier", "sample_size": "200000", **index},
        channels={"train": "", "test": ""},
        schemas={"train": schema, "test": schema},
    ).prepare()
    for name, rows in (("train", table[:522_910]), ("test", table[522_910 : 522_910 + n_test])):
        (tmp_path / "input" / "data" / name / "part-00000.csv").unlink()
        pq.write_table(rows, tmp_path / "input" / "data" / name / "part-00000.parquet")
    result = folder.run()
    assert result.returncode == 0, result.err
    assert "Got reservoir sample from algo-1: data=(200000, 54)" in result.out
    found = re.search(r"test accuracy <score>=(\S+)", result.out)
    assert found
    assert float(found.group(1)) == pytest.approx(published, abs=tolerance)
