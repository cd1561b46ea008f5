"""Tiny real engines that the model server's own process can load, without a registered algorithm."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LinearPredictor:
    """score = X @ weights.

    Each call takes `pause_s` longer, and if there is a `gate`, as long as no file of that name exists (not for rows
    that begin with 0, as the one that tries the model does). Rows that begin with 666 to 668 break it in three ways,
    and each that begins with 669 makes it keep 32 MiB more.
    """

    def __init__(self, weights: list[float], pause_s: float = 0.0, gate: str = "") -> None:
        self.weights = np.array(weights, dtype=np.float32)
        self.pause_s = pause_s
        self.gate = Path(gate) if gate else None
        self.batch_sizes: list[int] = []
        self.leaked: list[bytes] = []

    @property
    def n_features(self) -> int:
        return len(self.weights)

    def predict(self, X: NDArray[np.float32], *, verbose: bool) -> dict[str, NDArray[Any]]:
        self.batch_sizes.append(len(X))
        if self.pause_s:
            time.sleep(self.pause_s)
        while self.gate and X[0, 0] and not self.gate.exists():
            time.sleep(0.002)
        if (X[:, 0] == 666).any():
            raise ArithmeticError("the number of the beast")
        if (X[:, 0] == 667).any():
            os._exit(9)
        self.leaked += [b"x" * 2**25 for _ in range(int((X[:, 0] == 669).sum()))]
        score = X @ self.weights
        if (X[:, 0] == 668).any():
            score = score * np.nan
        prediction = {"score": score}
        if verbose:
            prediction["contributions"] = X * self.weights
        return prediction


class Linear:
    """Loads `weights.json`: {"weights": [..], "pause_s": 0, "gate": ""}."""

    def load(self, model_dir: Path, *, n_threads: int) -> LinearPredictor:
        return LinearPredictor(**json.loads((model_dir / "weights.json").read_text()))
