"""Names and descriptions of the sample datasets; cheap to import, for pages and REST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


def _(text: str) -> str:
    """Marks English text for the message catalogues; whoever shows it translates it."""
    return text


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
    Sample("iris", _("Iris flowers"), 150, 4, "Species", "classification"),
    Sample("diabetes", _("Diabetes progression"), 442, 10, "progression", "regression"),
    Sample("digits", _("Handwritten digits, 8 × 8"), 1797, 64, "digit", "classification"),
    Sample("wine", _("Wine cultivars"), 178, 13, "cultivar", "classification"),
    Sample("breast_cancer", _("Breast cancer diagnosis"), 569, 30, "diagnosis", "classification"),
)
