"""What jobs on Covertype leave behind, in the sizes of real ones."""

from __future__ import annotations

from typing import Any, Final

FEATURES: Final = [f"feature_{number}" for number in range(54)]
_NAMES: Final = [*FEATURES, "Cover_Type"]
_FIGURES: Final = {"min": 0.0, "max": 1.5, "mean": 0.5, "std": 0.2, "distinct": 900}
COLUMNS: Final = [{"name": name, "type": "float", "missing": 0, **_FIGURES} for name in _NAMES]
SCHEMA: Final[dict[str, Any]] = {
    "columns": _NAMES,
    "types": ["float"] * len(_NAMES),
    "label": 54,
    "format": "csv",
    "encoding": "utf-8",
    "delimiter": ",",
    "header": True,
    "label_mapping": None,
}
HYPERPARAMETERS: Final = {
    "k": "10",
    "predictor_type": "classifier",
    "feature_dim": "54",
    "sample_size": "200000",
    "index_type": "Flat",
}
MANIFEST: Final[dict[str, Any]] = {
    "algorithm": "knn",
    "n_features": 54,
    "feature_names": FEATURES,
    "label_mapping": {},
    "versions": {},
}
