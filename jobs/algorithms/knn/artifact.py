"""The model's files, named as the managed service names them: index, labels, row numbers and a description in JSON.

A version 1.0 without row numbers, or without an engine, is an older one and is read as well.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.choice import EngineChoice
from jobs.algorithms.knn.index.neighbour_index import NeighbourIndex
from jobs.algorithms.knn.preparation import Preparation
from mlplatform.core.errors import ModelError

VERSION: Final = "1.0"
STEM: Final = "model_algo-1"


@dataclass(frozen=True)
class Description:
    """What is in `model_algo-1.json` beside the preparation."""

    k: int
    predictor_type: str
    index_type: str
    index_metric: str
    nprobe: int
    n_samples: int
    sample_row: list[float]
    feature_names: list[str] | None
    ef_search: int = 0
    row_numbers: bool = False
    engine: dict[str, Any] | None = None


@dataclass(frozen=True)
class Artifact:
    """A trained model: index over the prepared rows, their labels float32 [n], and how to use them.

    Args:
        rows: Whole numbers [n], which row of the train channel each is, from 1; None where that is not known.
    """

    description: Description
    preparation: Preparation
    index: NeighbourIndex
    labels: NDArray[np.float32]
    rows: NDArray[np.integer[Any]] | None = None


def artifact_write(artifact: Artifact, model_dir: Path) -> None:
    """Writes the files."""
    artifact.index.write(model_dir / STEM)
    # Not tofile, which does not say why it could not.
    (model_dir / f"{STEM}.labels").write_bytes(artifact.labels.astype("<f4").tobytes())
    if artifact.rows is not None:
        (model_dir / f"{STEM}.rows").write_bytes(artifact.rows.astype("<i8").tobytes())
    text = json.dumps(_to_json(artifact), indent=2, ensure_ascii=False)
    (model_dir / f"{STEM}.json").write_text(text + "\n", encoding="utf-8")


def artifact_read(model_dir: Path, *, n_threads: int) -> Artifact:
    """The model in a folder. Raises ModelError saying which file is missing, damaged or of old version."""
    try:
        data = json.loads((model_dir / f"{STEM}.json").read_text(encoding="utf-8"))
        description, preparation = _from_json(data)
        labels = np.fromfile(model_dir / f"{STEM}.labels", dtype="<f4").astype(np.float32, copy=False)
        index = NeighbourIndex.read(
            model_dir / STEM,
            metric=description.index_metric,
            nprobe=description.nprobe,
            ef_search=description.ef_search,
            n_threads=n_threads,
        )
        rows = None
        if description.row_numbers:
            rows = _narrow(np.fromfile(model_dir / f"{STEM}.rows", dtype="<i8"))
    except OSError as error:
        name = Path(error.filename or STEM).name
        raise ModelError(f"The model has no readable file {name}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The model's files are not of a k-NN model: {error}") from error
    if not len(index) == len(labels) == description.n_samples:
        raise ModelError(
            f"The model's files do not belong together: {len(index)} rows in {STEM}, "
            f"{len(labels)} in {STEM}.labels, {description.n_samples} in {STEM}.json"
        )
    if rows is not None and len(rows) != len(index):
        raise ModelError(
            f"The model's files do not belong together: {len(index)} rows in {STEM}, "
            f"{len(rows)} in {STEM}.rows"
        )
    if index.dim != preparation.index_dim:
        raise ModelError(
            f"The model's files do not belong together: {index.dim} dimensions in {STEM}, "
            f"{preparation.index_dim} in {STEM}.json"
        )
    _engine_use(index, description)
    return Artifact(description, preparation, index, labels, rows)


def _narrow(rows: NDArray[np.int64]) -> NDArray[np.integer[Any]]:
    """In half the memory, if they fit."""
    fit = len(rows) == 0 or (rows.min() >= 0 and rows.max() < 2**32)
    return rows.astype(np.uint32) if fit else rows


def _engine_use(index: NeighbourIndex, description: Description) -> None:
    if description.engine is None:
        return
    try:
        index.engine_use(EngineChoice.from_json(description.engine, k=description.k))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The model's engine in {STEM}.json is not one of k-NN: {error}") from error


def _to_json(artifact: Artifact) -> dict[str, Any]:
    preparation = artifact.preparation
    reduction = None
    if preparation.reduction is not None:
        reduction = {
            "type": preparation.reduction,
            "seed": preparation.seed,
            "target_dim": preparation.reduced_dim,
            "input_dim": preparation.feature_dim,
        }
    return {
        "version": VERSION,
        **asdict(artifact.description),
        "feature_dim": preparation.feature_dim,
        "index_dim": preparation.index_dim,
        "normalize": preparation.normalize,
        "dimension_reduction": reduction,
    }


def _from_json(data: dict[str, Any]) -> tuple[Description, Preparation]:
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']!r} in {STEM}.json; {VERSION!r} was expected")
    reduction = data["dimension_reduction"]
    preparation = Preparation(
        feature_dim=data["feature_dim"],
        reduction=reduction["type"] if reduction else None,
        reduced_dim=reduction["target_dim"] if reduction else data["feature_dim"],
        normalize=data["normalize"],
        index_dim=data["index_dim"],
        seed=reduction["seed"] if reduction else 0,
    )
    known = {field.name: data[field.name] for field in fields(Description) if _is_there(field, data)}
    return Description(**known), preparation


def _is_there(field: Field[Any], data: dict[str, Any]) -> bool:
    """Whether it is to be taken; what older models do not have has a default."""
    return field.default is MISSING or field.name in data
