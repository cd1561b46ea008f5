"""Loads a model's artifact with the engine of its algorithm and tries it once.

Called by the model server's process before it listens: a model that cannot be loaded, or cannot predict, must fail there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from endpoints.serving.batching import Predictor, Rows
from endpoints.serving.encode import RESPONSE_TYPES


class Engine(Protocol):
    """The class that an algorithm's `engine` path names."""

    def load(self, model_dir: Path, *, n_threads: int) -> Predictor: ...


@dataclass(frozen=True)
class LoadedModel:
    """A predictor that has answered once, with the names of the columns it answers when not verbose."""

    predictor: Predictor
    n_features: int
    plain_columns: tuple[str, ...]
    response_types: tuple[str, ...] = RESPONSE_TYPES


def model_load(*, algorithm: str, engine: str = "", model_dir: Path, n_threads: int) -> LoadedModel:
    """The model in `model_dir`, ready to predict.

    Args:
        algorithm: Name of a registered algorithm.
        engine: Dotted path `module:Class` of an engine, in place of the algorithm's own.

    Raises:
        Exception: Whatever the engine raises; the process prints it and ends.
    """
    response_types = RESPONSE_TYPES
    if not engine:
        from jobs.algorithms.registry import algorithm_get

        spec = algorithm_get(algorithm)
        engine = spec.engine
    module, _, name = engine.partition(":")
    engine_class = cast("type[Any]", getattr(import_module(module), name))
    predictor = cast(Engine, engine_class()).load(model_dir, n_threads=n_threads)
    return model_try(predictor, response_types=response_types)


def model_try(predictor: Predictor, *, response_types: tuple[str, ...] = RESPONSE_TYPES) -> LoadedModel:
    """Predicts one row, so that the first caller waits for nothing and a broken model fails now."""
    prediction: Mapping[str, Any] = predictor.predict(_first_row(predictor), verbose=False)
    return LoadedModel(predictor, predictor.n_features, tuple(prediction), response_types)


def _first_row(predictor: Predictor) -> Rows:
    row = getattr(predictor, "sample_row", None)
    if row is None:
        return np.zeros((1, predictor.n_features), dtype=np.float32)
    return np.asarray(row, dtype=np.float32).reshape(1, -1)
