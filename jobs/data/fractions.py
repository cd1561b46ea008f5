"""Shares of the rows that the parts of a split get, checked. Cheap to import: the web process checks them first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

TOLERANCE: Final = 1e-9
"""Of sums of fractions, such as 0.7 + 0.2 + 0.1."""


def fractions_check(fractions: Mapping[str, float]) -> None:
    """Raises InvalidRequest (field `fractions`) unless there are two or more, each above 0, together at most
    1.
    """
    if len(fractions) < 2:
        raise InvalidRequest.for_field(
            "fractions", 'two or more are needed, such as {"train": 0.9, "test": 0.1}'
        )
    for name, fraction in fractions.items():
        if not (math.isfinite(fraction) and 0 < fraction < 1):
            raise InvalidRequest.for_field(
                f"fractions.{name}", _("{value} is out of range; use 0 < fraction < 1", value=f"{fraction:g}")
            )
    total = sum(fractions.values())
    if total > 1 + TOLERANCE:
        raise InvalidRequest.for_field(
            "fractions", _("they add up to {total}; together they may be at most 1", total=f"{total:g}")
        )
