"""The platform's clock: always an aware instant in UTC, replaceable in tests."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, UTC. Call as `clock.now()` so that a test can replace it."""
    return datetime.now(tz=UTC)
