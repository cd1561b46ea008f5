"""UCI Covertype as benchmarks of k-NN want it: the well-known split, from ../shared/data/covtype. No benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from mlplatform.core.env import PROJECT_ROOT

COVERTYPE: Final = PROJECT_ROOT.parent / "shared" / "data" / "covtype" / "covtype.parquet"
N_TRAIN: Final = 522_910
COLUMNS: Final = [f"c{position}" for position in range(55)]
"""54 features, then the label."""


def covertype_ensure() -> None:
    """Ends the benchmark where the data is not there."""
    if not COVERTYPE.exists():
        sys.exit(f"{COVERTYPE} is not there")


def schema_of(format: str) -> dict[str, Any]:
    """Of a file that `rows_write` writes."""
    return {"format": format, "columns": COLUMNS, "types": ["integral"] * len(COLUMNS), "label": 54}


def covertype_read() -> tuple[Any, Any]:
    """The rows of train int16 [522910, 55] and test [58102, 55], label last."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(COVERTYPE)
    rows = np.column_stack([column.to_numpy() for column in table.columns])
    np.random.seed(0)
    np.random.shuffle(rows)
    return rows[:N_TRAIN], rows[N_TRAIN:]


def covertype_write(folder: Path, *, n_train: int, n_test: int, format: str) -> None:
    """Writes `train` and `test` with named columns as CSV or Parquet, and `questions.csv`, features only."""
    folder.mkdir()
    train, test = covertype_read()
    for name, rows in (("train", train[:n_train]), ("test", test[:n_test])):
        rows_write(rows, folder / f"{name}.{format}")
    lines = (",".join(map(str, row)) + "\n" for row in test[:n_test, :-1].tolist())
    (folder / "questions.csv").write_text("".join(lines))


def rows_write(rows: Any, path: Path) -> None:
    """Writes rows with named columns as CSV or Parquet, whichever the file is called."""
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    write = pq.write_table if path.suffix == ".parquet" else pacsv.write_csv
    write(pa.table(list(rows.T.copy()), COLUMNS), path)
