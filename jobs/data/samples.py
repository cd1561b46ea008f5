"""The sample datasets: scikit-learn's bundled tables, written as CSV with a header and the label last."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn import datasets

from jobs.data.sample_list import SAMPLES
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.tabular.cells import shown


@dataclass(frozen=True)
class _Source:
    load: Callable[..., Any]
    label: str
    columns: tuple[str, ...] | None = None
    label_texts: tuple[str, ...] | None = None


_IRIS_COLUMNS = ("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
_SOURCES = {
    "iris": _Source(
        datasets.load_iris,
        "Species",
        columns=_IRIS_COLUMNS,
        label_texts=("setosa", "versicolor", "virginica"),
    ),
    "diabetes": _Source(datasets.load_diabetes, "progression"),
    "digits": _Source(datasets.load_digits, "digit"),
    "wine": _Source(datasets.load_wine, "cultivar"),
    "breast_cancer": _Source(datasets.load_breast_cancer, "diagnosis", label_texts=("malignant", "benign")),
}


def sample_write(name: str, path: Path) -> str:
    """Writes the sample to `path`; returns its label column. Raises InvalidRequest for an unknown name."""
    if name not in _SOURCES:
        accepted = ", ".join(sample.name for sample in SAMPLES)
        raise InvalidRequest.for_field("sample", f"{shown(name)} is not a sample; use {accepted}")
    source = _SOURCES[name]
    found = source.load()
    columns = source.columns or tuple(str(column).replace(" ", "_") for column in found.feature_names)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, source.label])
        for features, label in zip(found.data, found.target, strict=True):
            text = source.label_texts[int(label)] if source.label_texts else _number(label)
            writer.writerow([*map(_number, features), text])
    return source.label


def _number(value: float) -> str:
    """The shortest text that reads back as the same number; whole numbers without a point."""
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)
