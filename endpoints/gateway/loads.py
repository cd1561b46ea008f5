"""Writes down what requests to elastic variants call for, so that hosts start and end replicas: at once when somebody
waits, otherwise once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import time

from endpoints.elastic import Load
from endpoints.gateway.tally import error_line
from endpoints.gateway.waiting import ElasticVariant

logger = logging.getLogger(__name__)

EVERY_S = 1.0
_AGAIN_S = 0.5
WriteLoads = Callable[[Sequence[Load], Sequence[tuple[int, int]]], None]


def nothing_written(loads: Sequence[Load], met: Sequence[tuple[int, int]]) -> None:
    """For a gateway without elastic variants."""


class LoadWriter:
    """Asks all elastic variants what they call for and hands it to an injected `write`.

    Args:
        write: Gets the loads, and (variant, how many had waited) of those that were met. Called on a thread of its
            own, always the same; after an exception it is tried again with what holds then.
    """

    def __init__(
        self, write: WriteLoads, variants: Callable[[], Sequence[ElasticVariant]], *, every_s: float = EVERY_S
    ) -> None:
        self._write = write
        self._variants = variants
        self._every_s = every_s
        self._nudged = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loads")
        self._is_failing = False

    def nudge(self) -> None:
        """Something must be known at once. Called on the event loop."""
        self._nudged.set()

    async def run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), self._every_s)
            self._nudged.clear()
            if not await self.write():
                await asyncio.sleep(_AGAIN_S)

    async def write(self) -> bool:
        """Writes what there is; False when that was not possible. Never raises."""
        now = time()
        found = [(variant, variant.load(now)) for variant in self._variants()]
        loads = [(variant, load) for variant, load in found if load is not None]
        met = [(variant.variant_id, n) for variant, _ in found for n in variant.met()]
        if not loads and not met:
            return True
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, [load for _, load in loads], met
            )
        except Exception as error:
            self._failed(error, [variant for variant, _ in loads])
            return False
        self._is_failing = False
        for variant, load in loads:
            variant.trouble = ""
            variant.noted(load)
        return True

    def _failed(self, error: Exception, variants: Sequence[ElasticVariant]) -> None:
        for variant in variants:
            variant.trouble = error_line(error)
        if not self._is_failing:
            logger.warning("what elastic variants call for could not be written: %s", error_line(error))
        self._is_failing = True

    def close(self) -> None:
        self._thread.shutdown(wait=False)
