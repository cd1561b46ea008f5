"""The built-in ensemble of XGBoost and CatBoost: one call of its endpoint against two endpoints called in turn.

    python -m benchmarks.ensemble_invocation [--calls 2000]

All three models are trained by the job process on scikit-learn's diabetes data: the ensemble with both members and the
mean for its blend, and each member as a job of its own. Every endpoint has a model server and a gateway of its own. Who
wants the mean for a row asks either the one endpoint, or both, one after the other; the two ways take turns, so that a
busy machine is as busy for either. Bar: 0.6 of the time. `script_ensemble`: the tutorial's script, where the
libraries predict for it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_diabetes

from benchmarks.one_or_two_calls import BOTH, calls_compare
from benchmarks.options import options_parser
from benchmarks.serving_stage import ServingStage, model_train

_OWN: Final = {
    "xgboost": {"num_round": "100", "max_depth": "3", "eta": "0.2"},
    "catboost": {"iterations": "100", "depth": "3"},
}
_OBJECTIVE: Final = {"xgboost": {"objective": "reg:squarederror"}, "catboost": {"loss_function": "RMSE"}}


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as text, ExitStack() as stack:
        folder = Path(text)
        found: Any = load_diabetes()
        row = ",".join(map(str, found.data[0].tolist())).encode()
        models = _train(folder, np.column_stack((found.target, found.data)))
        stages = {}
        for name, model in models.items():
            place = folder / f"stage-{name}"
            place.mkdir()
            algorithm = "ensemble" if name == BOTH else name
            stages[name] = stack.enter_context(ServingStage(place, model, options=["--algorithm", algorithm]))
        expected = mean(_answer(name, models[name], found.data[:1]) for name in _OWN)
        asyncio.run(calls_compare(stages, row, expected, _prediction, n_calls=options.calls))


def _train(folder: Path, table: Any) -> dict[str, Path]:
    """The folder of each model: both members together, and each alone."""
    both = {"task": "regressor", "members": ",".join(_OWN), "n_folds": "0"}
    for kind, values in _OWN.items():
        both |= {f"{kind}__{name}": value for name, value in values.items()}

    def write(path: Path) -> None:
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in table.tolist()))

    models = {BOTH: model_train(folder / "train-both", "ensemble", both, write)}
    for kind, values in _OWN.items():
        models[kind] = model_train(folder / f"train-{kind}", kind, values | _OBJECTIVE[kind], write)
    return models


def _answer(algorithm: str, model_dir: Path, X: Any) -> float:
    from endpoints.serving.loader import model_load

    predictor = model_load(algorithm=algorithm, model_dir=model_dir, n_threads=1).predictor
    return float(predictor.predict(X.astype(np.float32), verbose=False)["score"][0])


def _prediction(body: bytes) -> float:
    return float(json.loads(body)["predictions"][0]["score"])


if __name__ == "__main__":
    main()
