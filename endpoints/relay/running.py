"""Keeps the relay of a machine up. Its host and its gateway both do; whoever is first has the address, and the other
takes it over within a second should that one end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import uvloop

from endpoints.relay.listener import RelayListener
from endpoints.relay.place import ADDRESS, RelayPlace
from mlplatform.core.open_files import open_files_allow

logger = logging.getLogger(__name__)

AGAIN_S: Final = 1.0
_N_FILES: Final = 16_384


async def relay_serve(place: RelayPlace, *, key: bytes, folder: Path) -> None:
    """Serves the relay until it is cancelled; an address that is taken, or is not there yet, is waited for.

    Args:
        key: See `handshake.relay_key`.
        folder: The folder of the machine's sockets.
    """
    said = ""
    open_files_allow(_N_FILES)
    relay = RelayListener(key=key, folder=folder)  # once: it makes a key and a certificate
    while True:
        try:
            relay.listen(place.listens)
        except OSError as error:
            said = _say(_why(place, error), said)
            await asyncio.sleep(AGAIN_S)
            continue
        logger.info("the relay listens on %s, other machines reach it at %s", place.listens, place.reached)
        try:
            await asyncio.Event().wait()
        finally:
            await relay.close()


def relay_check(place: RelayPlace) -> str:
    """Why this machine cannot listen there, whatever runs; empty where it can, or where the address is only taken."""
    try:
        with socket.socket(place.listens.family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((place.listens.host, place.listens.port))
    except OSError as error:
        return "" if error.errno == errno.EADDRINUSE else _why(place, error)
    return ""


class LoopThread(threading.Thread):
    """A coroutine on an event loop of its own, in a process whose main thread waits for other things."""

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(name=name, daemon=True)
        self._main = main
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_ready = threading.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            try:
                runner.run(self._run())
            except asyncio.CancelledError:
                logger.debug("%s has ended", self.name)
            except Exception:
                logger.exception("%s ended by itself", self.name)

    def end(self) -> None:
        """Cancels the coroutine and waits a moment for it."""
        if self._is_ready.wait(1.0) and self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(2.0)

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        self._is_ready.set()
        await self._main()


def _why(place: RelayPlace, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{place.listens} is served by another process, the host or the gateway of this machine; we stand by"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return (
            f"{ADDRESS}: this machine has no address {place.listens.host!r}; use one of its own, or "
            f"tcp:0.0.0.0:{place.listens.port} for all of them"
        )
    return f"{ADDRESS}: the relay cannot listen on {place.listens}: {error.strerror or error}"


def _say(words: str, said: str) -> str:
    if words != said:
        logger.log(logging.INFO if "stand by" in words else logging.WARNING, "%s", words)
    return words
