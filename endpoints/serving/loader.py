"""Loads a model's artifact with the engine of its algorithm and tries it once.

Called by the model server's process before it listens: a model that cannot be loaded, or cannot predict, must
fail there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from endpoints.serving.batching import Predictor, Rows
from endpoints.serving.decode import REQUEST_TYPES
from endpoints.serving.encode import CSV, RESPONSE_TYPES, Format, Prediction


@dataclass(frozen=True)
class LoadedModel:
    """A predictor that has answered once, with the names of the columns it answers when not verbose."""

    predictor: Predictor
    n_features: int
    plain_columns: tuple[str, ...]
    request_types: tuple[str, ...] = REQUEST_TYPES
    response_types: tuple[str, ...] = RESPONSE_TYPES
    feature_names: tuple[str, ...] = ()
    takes_missing: bool = False
    csv_columns: tuple[str, ...] = ()

    def columns(self, prediction: Prediction, answer: Format) -> Sequence[str]:
        """Names of the columns to write; a CSV, which cannot name them, may have fewer."""
        if answer.kind == CSV and self.csv_columns:
            return self.csv_columns
        return answer.columns(prediction, plain=self.plain_columns)


def model_load(*, algorithm: str, engine: str = "", model_dir: Path, n_threads: int) -> LoadedModel:
    """The model in `model_dir`, ready to predict.

    Args:
        algorithm: Name of a registered algorithm.
        engine: Dotted path `module:Class` of an engine, in place of the algorithm's own.

    Raises:
        Exception: Whatever the engine raises; the process prints it and ends.
    """
    if engine:
        module, _, name = engine.partition(":")
        return model_try(getattr(import_module(module), name)().load(model_dir, n_threads=n_threads))
    from jobs.algorithms.registry import algorithm_get

    spec = algorithm_get(algorithm)
    loaded = model_try(
        spec.engine_load().load(model_dir, n_threads=n_threads),
        request_types=_kinds(spec.request_content_types),
        response_types=_kinds(spec.response_content_types),
    )
    return replace(loaded, feature_names=_feature_names(model_dir, loaded.n_features))


def model_try(
    predictor: Predictor,
    *,
    request_types: tuple[str, ...] = REQUEST_TYPES,
    response_types: tuple[str, ...] = RESPONSE_TYPES,
) -> LoadedModel:
    """Predicts one row, so that the first caller waits for nothing and a broken model fails now."""
    prediction: Mapping[str, Any] = predictor.predict(_first_row(predictor), verbose=False)
    return LoadedModel(
        predictor,
        predictor.n_features,
        tuple(prediction),
        request_types,
        response_types,
        takes_missing=getattr(predictor, "takes_missing", False),
        csv_columns=getattr(predictor, "csv_columns", ()),
    )


def _first_row(predictor: Predictor) -> Rows:
    row = getattr(predictor, "sample_row", None)
    if row is None:
        return np.zeros((1, predictor.n_features), dtype=np.float32)
    return np.asarray(row, dtype=np.float32).reshape(1, -1)


def _feature_names(model_dir: Path, n_features: int) -> tuple[str, ...]:
    """As the manifest has them; none where it has none, or others than the model takes."""
    try:
        manifest = json.loads((model_dir / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return ()
    names = manifest.get("feature_names") if isinstance(manifest, dict) else None
    if not isinstance(names, list) or len(names) != n_features:
        return ()
    return tuple(map(str, names))


def _kinds(content_types: Sequence[str]) -> tuple[str, ...]:
    """The declared types without their parameters, each once."""
    return tuple(dict.fromkeys(declared.partition(";")[0].strip() for declared in content_types))
