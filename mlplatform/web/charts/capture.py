"""The figure of data capture. Pure: data in, Plotly figure (a plain dict) out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.utils.translation import gettext as _

from endpoints.selectors.data_capture import CapturedHour

_BAR_MS: Final = 50 * 60 * 1000
_SHOWN: Final = timedelta(hours=24)
_HALF: Final = timedelta(minutes=30)


def captured_figure(hours: Sequence[CapturedHour]) -> dict[str, Any]:
    """Captured records by hour (UTC) as bars, one colour for each variant."""
    variants = sorted({hour.variant for hour in hours})
    return {
        "data": [
            {
                "type": "bar",
                "name": variant,
                "x": [hour.hour.isoformat() for hour in reversed(hours) if hour.variant == variant],
                "y": [hour.n_records for hour in reversed(hours) if hour.variant == variant],
                "width": _BAR_MS,
            }
            for variant in variants
        ],
        "layout": {
            "barmode": "stack",
            "showlegend": len(variants) > 1,
            "xaxis": {"title": {"text": "UTC"}, "type": "date", **_range(hours)},
            "yaxis": {"title": {"text": _("records per hour")}, "rangemode": "tozero"},
        },
    }


def _range(hours: Sequence[CapturedHour]) -> dict[str, Any]:
    """At least a day up to the newest hour, so that one bar alone does not fill the figure."""
    if not hours:
        return {}
    newest, oldest = hours[0].hour, hours[-1].hour
    since = min(oldest, newest - _SHOWN)
    return {"range": [(since - _HALF).isoformat(), (newest + _HALF).isoformat()]}
