"""Saves a model in MLflow's format, in MLflow's environment: `save_for_mlflow.py KIND SOURCE TARGET`."""

import sys
from pathlib import Path

import mlflow
import xgboost

kind, source, target = sys.argv[1:]
if kind == "knn":
    code = Path(__file__).with_name("knn_for_mlflow.py")
    mlflow.pyfunc.save_model(target, python_model=str(code), artifacts={"knn": source}, pip_requirements=[])
else:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(source)
    mlflow.xgboost.save_model(booster, target, pip_requirements=[])
