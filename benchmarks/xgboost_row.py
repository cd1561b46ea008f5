"""One row through XGBoost: `Booster.inplace_predict` against ours, on the same model and rows.

`python -m benchmarks.xgboost_row [--rounds 100]` prints the median microseconds of each, their ratio, and the largest
difference between the answers. Bar: ours is twice as fast.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_breast_cancer

from benchmarks.one_row import CALLS, one_row_us
from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from jobs.algorithms.xgboost.booster import LoadedBooster, booster_write

BAR = 2.0


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    X, y = load_breast_cancer(return_X_y=True)
    X = X.astype(np.float32)
    parameters = {"objective": "binary:logistic", "nthread": 1, "verbosity": 0}
    booster = xgb.train(parameters, xgb.DMatrix(X, y), num_boost_round=rounds)
    with tempfile.TemporaryDirectory() as folder:
        booster_write(booster, Path(folder))
        ours = LoadedBooster(Path(folder), n_threads=1)
    rows = [X[position : position + 1] for position in range(len(X))]
    theirs_us, ours_us = one_row_us(booster.inplace_predict, ours.scores, rows)
    expected = booster.predict(xgb.DMatrix(X))
    difference = max(
        abs(float(ours.scores(row)[0] - value)) for row, value in zip(rows, expected, strict=True)
    )
    print(f"{rounds} trees, {X.shape[1]} features, one thread, {CALLS} calls of one row each")
    print(f"inplace_predict  {theirs_us:8.1f} µs")
    print(f"ours             {ours_us:8.1f} µs")
    verdict("one row, ours against inplace_predict", theirs_us / ours_us, BAR, unit="times", at_least=True)
    print(f"largest difference from Booster.predict {difference:g}")


if __name__ == "__main__":
    main()
