"""Models with inference scripts: folders as a host lays them out, and the diabetes ensemble of the tutorial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

ENSEMBLE = """
import os
import numpy as np
import xgboost as xgb
from catboost import CatBoostRegressor


def model_fn(model_dir):
    booster = xgb.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost.json"))
    trees = CatBoostRegressor()
    trees.load_model(os.path.join(model_dir, "catboost.cbm"))
    return booster, trees


def predict_fn(data, models):
    booster, trees = models
    return np.mean([booster.predict(xgb.DMatrix(data)), trees.predict(data)], axis=0)
"""


@dataclass(frozen=True)
class Ensemble:
    """A model's folder, rows to try it with, and the mean of what both saved models predict for them."""

    folder: Path
    X: NDArray[np.float32]
    mean: NDArray[np.float64]

    @property
    def body(self) -> bytes:
        return "\n".join(",".join(map(str, row)) for row in self.X.tolist()).encode()


def model_folder(folder: Path, script: str = "", **files: str) -> Path:
    """`folder` as a model's, with `code/inference.py`; other files of it by their path with `__` for `/`."""
    texts: Mapping[str, str] = {"code/inference.py": script, **files} if script else files
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ensemble_train(folder: Path, *, script: str = ENSEMBLE, n_rounds: int = 20) -> Ensemble:
    """Trains both members on the diabetes data and saves them as the tutorial's script does."""
    model_folder(folder, script)
    found: Any = load_diabetes()
    X, y = found.data.astype(np.float32), found.target
    booster = xgboost.train({"max_depth": 3, "nthread": 1}, xgboost.DMatrix(X, y), n_rounds)
    booster.save_model(folder / "xgboost.json")
    settings: dict[str, Any] = {"verbose": 0, "thread_count": 1, "allow_writing_files": False}
    trees = catboost.CatBoostRegressor(iterations=n_rounds, depth=3, **settings).fit(X, y)
    trees.save_model(str(folder / "catboost.cbm"))
    rows = X[:20]
    mean = np.mean([booster.predict(xgboost.DMatrix(rows)), trees.predict(rows)], axis=0)
    return Ensemble(folder, rows, mean)
