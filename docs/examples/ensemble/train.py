"""CatBoost and XGBoost trained in one job, cross-validated fold by fold, blended by their mean. A SageMaker script.

Reads `diabetes.csv` (or any table with a header and the column `target`) from the channel `train`, prints the score of
every fold and of the whole, and leaves both models, trained on all rows, in the model folder.
"""

import argparse
import json
import os
import time
from pathlib import Path

import catboost
import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import KFold


def parse_args():
    parser = argparse.ArgumentParser()

    # Hyperparameters arrive as command line arguments.
    parser.add_argument("--n_folds", type=int, default=5)
    parser.add_argument("--eta", type=float, default=0.2)
    parser.add_argument("--max_depth", type=int, default=3)
    parser.add_argument("--num_round", type=int, default=100)
    parser.add_argument("--early_stopping_rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", type=str, default="target")

    # Folders arrive as environment variables.
    parser.add_argument("--model-dir", type=str, default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--output-data-dir", type=str, default=os.environ.get("SM_OUTPUT_DATA_DIR"))
    parser.add_argument("--train", type=str, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--n-threads", type=int, default=int(os.environ.get("SM_NUM_CPUS", "1")))
    return parser.parse_known_args()[0]


def load_data(folder, target):
    files = sorted(Path(folder).iterdir())
    table = pd.concat([pd.read_csv(file) for file in files])
    return table.drop(columns=[target]).to_numpy(dtype=np.float32), table[target].to_numpy(dtype=np.float32)


def train_catboost(args, X, y, validation=None):
    model = catboost.CatBoostRegressor(
        iterations=args.num_round,
        learning_rate=args.eta,
        depth=args.max_depth,
        random_seed=args.seed,
        thread_count=args.n_threads,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(
        X, y, eval_set=validation, early_stopping_rounds=args.early_stopping_rounds if validation else None
    )
    return model


def train_xgboost(args, X, y, validation=None):
    parameters = {
        "objective": "reg:squarederror",
        "eta": args.eta,
        "max_depth": args.max_depth,
        "seed": args.seed,
        "nthread": args.n_threads,
    }
    watched = [(xgboost.DMatrix(*validation), "validation")] if validation else []
    return xgboost.train(
        parameters,
        xgboost.DMatrix(X, y),
        args.num_round,
        evals=watched,
        early_stopping_rounds=args.early_stopping_rounds if validation else None,
        verbose_eval=False,
    )


def rmse(y, predicted):
    return float(np.sqrt(mean_squared_error(y, predicted)))


def cross_validate(args, X, y):
    """Root mean squared errors of both models and of their mean, a row per fold."""
    scores = []
    folds = KFold(args.n_folds, shuffle=True, random_state=args.seed)
    for fold, (train, validation) in enumerate(folds.split(X)):
        held_out = (X[validation], y[validation])
        first = train_catboost(args, X[train], y[train], held_out)
        second = train_xgboost(args, X[train], y[train], held_out)
        predicted = [first.predict(X[validation]), second.predict(xgboost.DMatrix(X[validation]))]
        scores.append([rmse(y[validation], answer) for answer in [*predicted, np.mean(predicted, axis=0)]])
        print(f"fold {fold}: catboost-rmse:{scores[-1][0]:.4f} xgboost-rmse:{scores[-1][1]:.4f}")
    return np.array(scores)


if __name__ == "__main__":
    args = parse_args()
    begun = time.time()
    X, y = load_data(args.train, args.target)
    print(f"{X.shape[0]} rows, {X.shape[1]} features; eta={args.eta}, max_depth={args.max_depth}")

    scores = cross_validate(args, X, y)
    print(f"validation-catboost-rmse:{scores[:, 0].mean():.4f}")
    print(f"validation-xgboost-rmse:{scores[:, 1].mean():.4f}")
    print(f"validation-rmse:{scores[:, 2].mean():.4f}")

    train_catboost(args, X, y).save_model(Path(args.model_dir, "catboost.cbm"))
    train_xgboost(args, X, y).save_model(Path(args.model_dir, "xgboost.json"))
    told = {name: list(scores[:, column]) for column, name in enumerate(["catboost", "xgboost", "mean"])}
    Path(args.output_data_dir, "scores.json").write_text(json.dumps(told))
    print(f"trained in {time.time() - begun:.1f} s")
