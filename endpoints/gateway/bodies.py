"""How many bytes of requests' bodies the gateway holds at once, over all of its connections. Nothing else.

A body is held from its first byte until its request is answered. Thousands of callers may each send the most that one
request may have; without a bound their sum would be the memory of the machine. Used on the event loop only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from endpoints.serving.answers import MAX_BODY_BYTES
from mlplatform.core.errors import Throttled


class BodyBudget:
    """Bytes in hand, never more than `limit_bytes` (and the first body's, so that a large one is always possible)."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = max(limit_bytes, MAX_BODY_BYTES)
        self.held_bytes = 0

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Gives what is to be told of every piece of one request's body; at the end they count no more.

        What is given raises Throttled when the piece would be too much.
        """
        mine = 0

        def hold(n_bytes: int) -> None:
            nonlocal mine
            if self.held_bytes + n_bytes > self.limit_bytes:
                raise Throttled(
                    f"requests that are being answered hold {self.held_bytes:,} bytes already, "
                    f"of {self.limit_bytes:,} that they may together; try again later"
                )
            self.held_bytes += n_bytes
            mine += n_bytes

        try:
            yield hold
        finally:
            self.held_bytes -= mine
