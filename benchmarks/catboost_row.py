"""One row through CatBoost: `CatBoost.predict` with one thread against ours, on the same model and rows.

`python -m benchmarks.catboost_row [--rounds 100]` prints the median microseconds of each, their ratio, and the largest
difference between the answers. Bar: ours is five times as fast.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import catboost
import numpy as np
from sklearn.datasets import load_breast_cancer

from benchmarks.one_row import CALLS, one_row_us
from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from jobs.algorithms.catboost.ensemble import LoadedEnsemble, ensemble_write

BAR = 5.0


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    X, y = load_breast_cancer(return_X_y=True)
    X = X.astype(np.float32)
    model = catboost.CatBoost(
        {
            "iterations": rounds,
            "loss_function": "Logloss",
            "thread_count": 1,
            "logging_level": "Silent",
            "allow_writing_files": False,
        }
    ).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        ensemble_write(model, Path(folder))
        ours = LoadedEnsemble(Path(folder), n_threads=1)

    def theirs(row: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(row, prediction_type="Probability", thread_count=1))

    rows = [X[position : position + 1] for position in range(len(X))]
    theirs_us, ours_us = one_row_us(theirs, ours.probabilities, rows)
    expected = model.predict(X, prediction_type="Probability")
    difference = max(
        float(np.abs(ours.probabilities(row)[0] - values).max())
        for row, values in zip(rows, expected, strict=True)
    )
    print(f"{rounds} trees, {X.shape[1]} features, one thread, {CALLS} calls of one row each")
    print(f"predict  {theirs_us:8.1f} µs")
    print(f"ours     {ours_us:8.1f} µs")
    verdict("one row, ours against CatBoost.predict", theirs_us / ours_us, BAR, unit="times", at_least=True)
    print(f"largest difference from CatBoost.predict {difference:g}")


if __name__ == "__main__":
    main()
