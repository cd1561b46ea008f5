"""The gateway's part in relays: the ways to replicas of other machines, and the relay of its own machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from endpoints.relay.dial import relay_connect
from endpoints.relay.place import RelayPlace
from endpoints.relay.running import relay_serve
from endpoints.serving.address import Address
from endpoints.serving.client import CallFailed, Connection, connect


@dataclass(frozen=True)
class GatewayRelay:
    """Without a key no other machine is reached, without a place none reaches this one.

    Attributes:
        folder: The folder of this machine's sockets.
    """

    key: bytes = field(default=b"", repr=False)
    place: RelayPlace | None = None
    folder: Path = Path()

    async def connect(self, address: Address) -> Connection:
        """A new connection to a replica, wherever it is. Raises CallFailed."""
        if not address.relay:
            return await connect(address)
        loop = asyncio.get_running_loop()
        try:
            return await relay_connect(
                host=address.host,
                port=address.port,
                name=address.relay,
                key=self.key,
                protocol=lambda: Connection(loop, address),
            )
        except (OSError, ValueError) as error:
            said = str(error) or "no answer in time"
            raise CallFailed(f"{address}: {said}", is_delivered=False) from None

    def tasks(self) -> list[asyncio.Task[None]]:
        """What runs as long as the gateway does."""
        if self.place is None:
            return []
        return [asyncio.create_task(relay_serve(self.place, key=self.key, folder=self.folder))]
