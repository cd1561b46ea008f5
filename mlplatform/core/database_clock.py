"""How far the clock of this machine is from that of the database server, by which machines compare theirs.

Leases, heartbeats and sessions are instants that one machine writes and another reads. On SQLite there is one clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import connection

from mlplatform.core import clock

SKEW_S: Final = 2.0
SKEW_MANY_S: Final = 10.0
"""A third of a lease: from here on a living worker can lose a job."""


def database_ahead_s() -> float:
    """Seconds that the database's clock is ahead of ours; below 0 where it is behind. Raises DatabaseFault."""
    if connection.vendor != "postgresql":
        return 0.0
    before = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        there: datetime = cursor.fetchone()[0]
    return (there - before).total_seconds() - (clock.now() - before).total_seconds() / 2
