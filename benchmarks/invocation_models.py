"""The two models of `benchmarks.invocation`, trained by the job process, and what others are to serve. No benchmark.

Iris with one neighbour, and 100 trees of XGBoost over 70 features.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.rivals.servers import RivalModel
from benchmarks.serving_stage import model_train

_N_FEATURES: Final = 70
_N_ROWS: Final = 2000


@dataclass(frozen=True)
class MeasuredModel:
    """A trained model and the row that it is asked for.

    Attributes:
        algorithm: Ours.
        answer: Name of the value in our answer that other servers give as well.
    """

    title: str
    algorithm: str
    answer: str
    folder: Path
    row: Sequence[float]
    rival: RivalModel

    @property
    def body(self) -> bytes:
        """The row as CSV."""
        return ",".join(map(str, self.row)).encode()

    def in_process(self) -> Callable[[int], list[float]]:
        """Seconds of each of so many predictions of the loaded model, without any server."""
        from endpoints.serving.loader import model_load

        predictor = model_load(algorithm=self.algorithm, model_dir=self.folder, n_threads=1).predictor
        X = np.array([self.row], dtype=np.float32)

        def measure(n: int) -> list[float]:
            times = []
            for _ in range(n):
                began_at = perf_counter()
                predictor.predict(X, verbose=False)
                times.append(perf_counter() - began_at)
            return times

        return measure


def knn_of_iris(root: Path) -> MeasuredModel:
    import faiss
    from sklearn.datasets import load_iris

    table: Any = load_iris()
    values = {"k": "1", "feature_dim": "4", "sample_size": "150", "predictor_type": "classifier"}
    folder = model_train(root / "knn", "knn", values, lambda path: _write(path, table.target, table.data))
    rival = _made(root / "knn-elsewhere")
    index = faiss.IndexFlatL2(4)
    index.add(table.data.astype(np.float32))
    faiss.write_index(index, str(rival / "index.faiss"))
    np.save(rival / "labels.npy", table.target.astype(np.float32))
    row = (5.8, 2.8, 5.1, 2.4)
    return MeasuredModel("Iris k-NN", "knn", "predicted_label", folder, row, RivalModel("knn", rival))


def xgboost_of_70_features(root: Path) -> MeasuredModel:
    chance = np.random.default_rng(0)
    X = chance.standard_normal((_N_ROWS, _N_FEATURES)).round(4)
    y = X @ chance.standard_normal(_N_FEATURES) + X[:, 0] * X[:, 1]
    values = {"num_round": "100", "objective": "reg:squarederror", "max_depth": "6", "eta": "0.3"}
    folder = model_train(root / "xgboost", "xgboost", values, lambda path: _write(path, y, X))
    rival = _made(root / "xgboost-elsewhere")
    shutil.copy(folder / "xgboost-model", rival / "model.ubj")
    row = tuple(map(float, X[0]))
    title = f"XGBoost, {_N_FEATURES} features, 100 trees"
    return MeasuredModel(title, "xgboost", "score", folder, row, RivalModel("xgboost", rival))


def _write(path: Path, labels: Any, features: Any) -> None:
    rows = zip(labels.tolist(), features.tolist(), strict=True)
    path.write_text("".join(f"{label},{','.join(map(str, values))}\n" for label, values in rows))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
