"""Ridge regression with scikit-learn: the smallest script that trains on a CSV file and leaves a model.

Run by the platform (or by SageMaker) as `python train.py --alpha 1.0`, with the data of channel `train` in the folder
SM_CHANNEL_TRAIN. A CSV file without a header has the label in its first column, as SageMaker's own algorithms read it;
with a header, `--label` names the column.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--label", default="")
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN", "data/train"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION", ""))
    args, _ = parser.parse_known_args()

    X, y = read_channel(args.train, args.label)
    model = Ridge(alpha=args.alpha).fit(X, y)
    print(f"train-rmse: {rmse(model, X, y):.4f}")
    if args.validation:
        print(f"validation-rmse: {rmse(model, *read_channel(args.validation, args.label)):.4f}")
    joblib.dump(model, Path(args.model_dir) / "model.joblib")


def read_channel(folder: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Features float64 [n, d] and label float64 [n] of all CSV files of a channel."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    table = pd.concat([read_table(path) for path in files])
    y = table.pop(label) if label else table.pop(table.columns[0])
    return table.to_numpy(dtype=float), y.to_numpy(dtype=float)


def read_table(path: Path) -> pd.DataFrame:
    """One CSV file, with or without a header."""
    first = pd.read_csv(path, header=None, nrows=1)
    has_header = not all(map(pd.api.types.is_numeric_dtype, first.dtypes))
    return pd.read_csv(path, header=0 if has_header else None)


def rmse(model: Ridge, X: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(mean_squared_error(y, model.predict(X))))


def model_fn(model_dir: str) -> Ridge:
    """How an endpoint loads what `main` left."""
    return joblib.load(Path(model_dir) / "model.joblib")


if __name__ == "__main__":
    main()
