"""Instants as every answer has them."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.123Z`."""
    if at is None:
        return None
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
