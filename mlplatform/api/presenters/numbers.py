"""Numbers as every answer has them."""

from __future__ import annotations

import math


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity: they become null."""
    return value if value is not None and math.isfinite(value) else None
