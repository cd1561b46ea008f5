"""Keeps the routing table fresh: asks an injected `load_table` on a thread, over and over and on demand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from endpoints.gateway.routing import RoutingTable, Version
from endpoints.gateway.tally import error_line

logger = logging.getLogger(__name__)

SPARING_S = 0.25
LoadTable = Callable[[Version | None], RoutingTable | None]


class TableKeeper:
    """Loads tables and hands each new one to `adopt` on the event loop.

    Args:
        load_table: Gets the version at hand and answers a newer table, or None when there is none. Runs on a
        thread of
            its own, always the same. When it raises, the table at hand stays in use.
    """

    def __init__(
        self, load_table: LoadTable, adopt: Callable[[RoutingTable], None], *, every_s: float = 1.0
    ) -> None:
        self.version: Version | None = None
        self._load_table = load_table
        self._adopt = adopt
        self._every_s = every_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="routing-table")
        self._lock = asyncio.Lock()
        self._loaded_since = 0.0
        self._spared_until = 0.0
        self._next_spared: asyncio.Task[bool] | None = None
        self._is_failing = False

    async def run(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(self._every_s)

    async def refresh(self) -> bool:
        """Loads what is newest at the moment of the call; True when the table at hand is certainly that
        one."""
        asked_at = monotonic()
        async with self._lock:
            if self._loaded_since > asked_at:  # a load that began after we asked has answered for us
                return True
            began_at = monotonic()
            try:
                loop = asyncio.get_running_loop()
                table = await loop.run_in_executor(self._thread, self._load_table, self.version)
            except Exception as error:
                if not self._is_failing:
                    logger.warning(
                        "the routing table could not be loaded; the one at hand stays in use: %s",
                        error_line(error),
                    )
                self._is_failing = True
                return False
            self._is_failing = False
            self._loaded_since = began_at
            if table is not None:
                self.version = table.version
                self._adopt(table)
            return True

    async def refresh_sparingly(self) -> bool:
        """As `refresh`, but four times a second at most, however often it is asked: for requests that anybody
        can repeat at will. Who asks in between waits for the next load, together with all others who do.
        """
        if self._next_spared is None:
            self._next_spared = asyncio.ensure_future(self._refresh_when_due())
        return await asyncio.shield(self._next_spared)

    async def _refresh_when_due(self) -> bool:
        await asyncio.sleep(self._spared_until - monotonic())
        self._spared_until, self._next_spared = monotonic() + SPARING_S, None
        return await self.refresh()

    def close(self) -> None:
        self._thread.shutdown(wait=False)
