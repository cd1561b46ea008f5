"""Template tags of job and endpoint pages."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django import template

from jobs.algorithms.registry import SCRIPT
from jobs.models import TrainingJob
from mlplatform.core.keeping.retention import retention_rules
from mlplatform.web import statuses
from mlplatform.web.templatetags.figures import bytes_text

register = template.Library()


@register.filter
def status_word(value: str) -> str:
    """A status in the reader's language."""
    return statuses.status_word(value)


@register.filter("json")
def json_text(value: Any) -> str:
    """A value as JSON, to stand in an attribute."""
    return json.dumps(value)


@register.filter
def mebibytes_text(value: int) -> str:
    """16384 → `16 GiB`."""
    return bytes_text(value * 1024**2)


@register.filter
def key_metric(job: TrainingJob) -> tuple[str, float] | None:
    """The name and last value of the metric that stands for a job: of a script the first that it defines and that has a
    value, else the first by name.
    """
    values: dict[str, float] = job.final_metrics
    defined = [str(one["name"]) for one in job.metric_definitions] if job.algorithm == SCRIPT else []
    name = next((one for one in (*defined, *values) if one in values), None)
    return None if name is None else (name, values[name])


@register.simple_tag
def metric_query(group: str, x: str, scale: str) -> str:
    """The query of a chart of one group of metrics."""
    return f"?{urlencode({'group': group, 'x': x, 'scale': scale})}"


@register.simple_tag
def kept_days(rule: str) -> int:
    """For how many days the retention rule of that name keeps things; 0 is for ever."""
    return round(next(found.days for found in retention_rules() if found.name == rule))


@register.filter
def plain(value: float) -> str:
    """A number as a form field takes it, whatever the language: 1.0 → `1`."""
    return f"{value:g}"
