"""One row through XGBoost: `Booster.inplace_predict` against ours, on the same model and rows.

`python -m benchmarks.xgboost_row [--rounds 100]` prints the median microseconds of each and their ratio, called one
after the other and with the processor's caches emptied before every call, which is nearer to a request among others;
and the largest difference between the answers. Bar of both: ours is four times as fast.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_breast_cancer

from benchmarks.one_row import CALLS, one_row_us
from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from jobs.algorithms.xgboost.booster import LoadedBooster, booster_write

BAR = 4.0
CALLS_EMPTY = 300
EMPTIED_BYTES = 2**26


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
    pair = (booster.inplace_predict, ours.scores)
    warm = one_row_us(*pair, rows)
    empty = one_row_us(*pair, rows, n_calls=CALLS_EMPTY, before=_emptier())
    expected = booster.predict(xgb.DMatrix(X))
    difference = max(
        abs(float(ours.scores(row)[0] - value)) for row, value in zip(rows, expected, strict=True)
    )
    print(f"{rounds} trees, {X.shape[1]} features, one thread, {CALLS} calls of one row each")
    print(f"{'':16s}      warm   empty caches, µs")
    for name, warm_us, empty_us in zip(("inplace_predict", "ours"), warm, empty, strict=True):
        print(f"{name:16s}{warm_us:10.1f}{empty_us:10.1f}")
    what = "one row, ours against inplace_predict"
    verdict(what, warm[0] / warm[1], BAR, unit="times", at_least=True)
    verdict(f"{what}, empty caches", empty[0] / empty[1], BAR, unit="times", at_least=True)
    print(f"largest difference from Booster.predict {difference:g}")


def _emptier() -> Callable[[], None]:
    """Writes to more memory than a processor's caches hold, or most of what they do."""
    held = np.zeros(EMPTIED_BYTES, np.uint8)

    def write() -> None:
        held[::64] += 1

    return write


if __name__ == "__main__":
    main()
