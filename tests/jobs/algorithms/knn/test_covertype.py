"""Published figures of a managed k-NN service on UCI Covertype, through the whole job process."""

from __future__ import annotations

import json
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
    ("sample_size", "index", "published"),
    [
        (200_000, {"index_type": "faiss.Flat"}, 0.812),
        (500_000, {"index_type": "faiss.Flat"}, 0.872),
        (
            200_000,
            {"index_type": "faiss.IVFPQ", "faiss_index_ivf_nlists": "500", "faiss_index_pq_m": "8"},
            0.804,
        ),
    ],
)
def test_the_published_accuracy_is_reproduced(table, sample_size, index, published, tmp_path: Path):
    schema = {
        "format": "parquet",
        "columns": table.column_names,
        "types": ["integral"] * 55,
        "label": 54,
    }
    folder = JobFolder(
        root=tmp_path,
        algorithm="knn",
        hyperparameters={
            "k": "100",
            "predictor_type": "classifier",
            "sample_size": str(sample_size),
            **index,
        },
        channels={"train": "", "test": ""},
        schemas={"train": schema, "test": schema},
    ).prepare()
    for name, rows in (("train", table[:522_910]), ("test", table[522_910:])):
        (tmp_path / "input" / "data" / name / "part-00000.csv").unlink()
        pq.write_table(rows, tmp_path / "input" / "data" / name / "part-00000.parquet")
    result = folder.run()
    assert result.returncode == 0, result.err
    assert f"Got reservoir sample from algo-1: data=({sample_size}, 54)" in result.out
    found = re.search(r"test accuracy <score>=(\S+)", result.out)
    assert found
    assert float(found.group(1)) == pytest.approx(published, abs=0.01)
    description = json.loads((result.model_dir / "model_algo-1.json").read_text())
    if index["index_type"] == "faiss.IVFPQ":
        assert (description["feature_dim"], description["index_dim"]) == (54, 56), "padded to parts of seven"
    else:
        assert "Exact search: k-d tree over" in result.out
        assert set(description["engine"]["columns"]) <= set(range(10)), "none of those that are one-hot"
        facts = json.loads((tmp_path / "output" / "model_facts.json").read_text())
        flat, tree = facts["engine"]["measured_ms"]["flat"], facts["engine"]["measured_ms"]
        chosen = tree[f"tree-{len(description['engine']['columns'])}"]
        assert chosen["batch_581"] < flat["batch_581"]
        assert chosen["single"] < flat["single"]
