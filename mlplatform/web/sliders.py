"""Limits that a person sets: what they may be, and what they are where nothing was said yet. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlplatform.web.forms.training_jobs import folded


@dataclass(frozen=True)
class Slider:
    """A limit with what it may be; `step` is what a key press moves it by. `logarithmic`: by shares, not by amounts."""

    name: str
    value: float
    low: float
    high: float
    step: float
    logarithmic: bool = False


def quality_slider(values: Sequence[float], given: Any, *, smallest: bool) -> Slider:
    """As far as the qualities are apart, and at least a hundredth. Without a wish: a hundredth off the best."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    apart = max(high - low, abs(high) / 100, 1e-6)
    step = 10.0 ** (math.floor(math.log10(apart)) - 1)
    low, high = (low, low + apart) if smallest else (high - apart, high)
    low, high = _down(low, step), _up(high, step)
    wish = _up(low * 1.01, step) if smallest else _down(high * 0.99, step)
    value = _number(given)
    return Slider("quality", min(max(wish, low), high) if value is None else value, low, high, step)


def latency_slider(values: Sequence[float], given: Any) -> Slider:
    """Without a wish: as slow as the slowest."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = _round(min(known), math.floor), _round(max(known), math.ceil)
    value = _number(given)
    return Slider("latency", high if value is None else value, low, high, low / 10, logarithmic=True)


def _number(given: Any) -> float | None:
    """What was typed; nothing where it is no number, or none that can be a limit."""
    try:
        value = float(folded(str(given or ""))[:40])
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < 1e9 else None


def _down(value: float, step: float) -> float:
    return float(f"{math.floor(value / step + 1e-9) * step:.10g}")


def _up(value: float, step: float) -> float:
    return float(f"{math.ceil(value / step - 1e-9) * step:.10g}")


def _round(value: float, towards: Any) -> float:
    """To two significant digits, down or up."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{towards(value / unit) * unit:.10g}")
