"""Template tags of evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template

from mlplatform.web.charts import evaluations

register = template.Library()


@register.filter
def metric_title(metric: str) -> str:
    """A metric in the reader's language: `f1_macro` → `F1 (macro)`."""
    return evaluations.metric_title(metric)


@register.filter
def at(sequence: Sequence[Any], place: int) -> Any:
    """`sequence[place]`."""
    return sequence[place]
