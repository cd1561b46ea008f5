"""Scripts that a job can begin with: the folders of `docs/examples`, each with what its script expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings

_SUFFIXES: Final = frozenset({".py", ".txt"})


@dataclass(frozen=True)
class Example:
    """An example's name (of its folder), framework, and what a form is filled with beside the files.

    `label` is the hyperparameter that names the column to be predicted; without it the script takes the first column,
    or has a default in `hyperparameters`.
    """

    name: str
    framework: str
    label: str
    hyperparameters: Mapping[str, str]
    metric_definitions: Mapping[str, str]


EXAMPLES: Final[Mapping[str, Example]] = {
    example.name: example
    for example in (
        Example(
            "ensemble",
            "xgboost",
            "target",
            {"eta": "0.2", "max_depth": "3", "num_round": "100", "n_folds": "5", "target": "target"},
            {
                "validation:rmse": r"validation-rmse:([0-9\.]+)",
                "validation:xgboost-rmse": r"validation-xgboost-rmse:([0-9\.]+)",
                "validation:catboost-rmse": r"validation-catboost-rmse:([0-9\.]+)",
            },
        ),
        Example(
            "sklearn",
            "sklearn",
            "label",
            {"alpha": "1.0"},
            {
                "train:rmse": r"train-rmse: ([0-9\.]+)",
                "validation:rmse": r"validation-rmse: ([0-9\.]+)",
            },
        ),
    )
}


def example_list() -> list[str]:
    """The names of the examples that are on this machine."""
    return [name for name in EXAMPLES if example_files(name)]


@lru_cache(maxsize=8)
def example_files(name: str) -> Mapping[str, str]:
    """The files of an example by path, its code and requirements; empty for one that is not there."""
    if name not in EXAMPLES:
        return {}
    folder = Path(settings.BASE_DIR) / "docs" / "examples" / name
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in _SUFFIXES)
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}
