"""Names and descriptions of the sample datasets; cheap to import, for pages and REST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Sample:
    name: str
    title: str
    n_rows: int
    n_features: int
    label: str
    task: str
    """`classification` or `regression`."""


SAMPLES: Final = (
    Sample("iris", "Iris flowers", 150, 4, "Species", "classification"),
    Sample("diabetes", "Diabetes progression", 442, 10, "progression", "regression"),
    Sample("digits", "Handwritten digits, 8 × 8", 1797, 64, "digit", "classification"),
    Sample("wine", "Wine cultivars", 178, 13, "cultivar", "classification"),
    Sample("breast_cancer", "Breast cancer diagnosis", 569, 30, "diagnosis", "classification"),
)
