"""The `#metrics {json}` records that the managed service's algorithms write between their log lines."""

from __future__ import annotations

import json
from collections.abc import Mapping


def metrics_text(
    started_at: float, ended_at: float, host: str, operation: str, values: Mapping[str, float]
) -> str:
    """One record; instants in seconds since 1970, each value seen once."""
    record = {
        "StartTime": started_at,
        "EndTime": ended_at,
        "Dimensions": {"Host": host, "Operation": operation},
        "Metrics": {
            name: {"sum": float(value), "count": 1, "min": value, "max": value}
            for name, value in values.items()
        },
    }
    return f"#metrics {json.dumps(record)}"
