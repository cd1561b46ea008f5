"""The socket of runs on a machine without a gateway: each connection to it goes to a gateway of another machine.

What a run sends there, its token, is checked by that gateway as if the run were on its machine. Where a gateway runs
here too, its socket is the one that runs find, and this one is not made. Run by workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from endpoints.relay.dial import relay_connect
from endpoints.relay.here import GATEWAYS, gateway_is_here
from endpoints.relay.splice import SpliceEnd, splice
from endpoints.relay.targets import RUNS
from endpoints.serving.address import Address, socket_listen

logger = logging.getLogger(__name__)

_LINK: Final = "runs.sock"
_OWN: Final = Path("runs-elsewhere") / "runs.sock"
"""In a folder of its own, so that a sandbox can be shown this socket and no other."""
_LOOK_EVERY_S: Final = 1.0


class RunsForwarder:
    """Serves `runs.sock` of this machine as long as no gateway here does.

    Args:
        key: See `handshake.relay_key`.
        folder: The folder of the machine's sockets.
    """

    def __init__(self, *, key: bytes, folder: Path) -> None:
        self._key = key
        self._folder = folder
        self._gateways: tuple[Address, ...] = ()
        self._server: asyncio.Server | None = None
        self._ends: set[SpliceEnd] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._is_failing = False

    def lead_to(self, gateways: Sequence[Address]) -> None:
        """Relays of gateways, the best first. May be called from any thread."""
        self._gateways = tuple(gateways)

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await self._turn()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._close()

    async def _turn(self) -> None:
        try:
            self._look()
            if self._server is None and self._gateways and not gateway_is_here(self._folder):
                await self._listen()
        except OSError as error:  # such as a full disk; the next turn tries again
            if not self._is_failing:
                logger.warning("runs of this machine do not reach a gateway: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False

    def _look(self) -> None:
        """A gateway that has begun here takes the name over; one that has ended gives it back.

        While one begins, its name is there before its socket is, and we may have taken it once more.
        """
        if self._server is None:
            return
        link, wanted = self._folder / _LINK, GATEWAYS if gateway_is_here(self._folder) else _OWN
        if _leads_to(link) != str(wanted):
            _link(link, wanted)

    async def _listen(self) -> None:
        path = self._folder / _OWN
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            sock = socket_listen(Address(path=str(path)), mode=0o600)
        except OSError as error:  # another worker of this machine does it
            logger.debug("%s", error)
            return
        self._server = await asyncio.get_running_loop().create_unix_server(self._caller, sock=sock)
        _link(self._folder / _LINK, _OWN)
        logger.info("no gateway on this machine: runs go to %s", ", ".join(map(str, self._gateways)))

    def _caller(self) -> SpliceEnd:
        end = _Caller(self)
        self._ends.add(end)
        return end

    def came(self, end: SpliceEnd) -> None:
        end.hold()
        task = asyncio.get_running_loop().create_task(self._lead(end))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def lost(self, end: SpliceEnd) -> None:
        self._ends.discard(end)

    async def _lead(self, end: SpliceEnd) -> None:
        for gateway in self._gateways:
            try:
                there = await relay_connect(
                    host=gateway.host, port=gateway.port, name=RUNS, key=self._key, protocol=SpliceEnd
                )
            except OSError as error:
                logger.warning("the gateway behind %s: %s", gateway, error)
                continue
            splice(end, there)
            return
        end.abort()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            if _leads_to(self._folder / _LINK) == str(_OWN):
                (self._folder / _LINK).unlink(missing_ok=True)
            (self._folder / _OWN).unlink(missing_ok=True)
        for task in self._asking:
            task.cancel()
        for end in list(self._ends):
            end.abort()


class _Caller(SpliceEnd):
    """A run's connection."""

    def __init__(self, forwarder: RunsForwarder) -> None:
        super().__init__(on_lost=lambda: forwarder.lost(self))
        self._forwarder = forwarder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._forwarder.came(self)


def _leads_to(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""


def _link(link: Path, wanted: Path) -> None:
    """In one step, so that a run never finds nothing."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(wanted)
    fresh.rename(link)
