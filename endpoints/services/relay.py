"""What gateways, hosts and workers need of the relay from settings and database: the key, and who is where.

The relay itself, `endpoints.relay`, knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from endpoints.relay.handshake import relay_key as relay_key_of
from endpoints.relay.place import INFO, RelayPlace, relay_place
from endpoints.relay.running import relay_check
from endpoints.relay.targets import replica_name
from endpoints.serving.address import Address, address_parse
from mlplatform.core.env import runtime_dir
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import BOOT, nodes_alive
from mlplatform.core.process_identity import boot_identity


def relay_key() -> bytes:
    return relay_key_of(settings.SECRET_KEY)


def relay_place_checked() -> RelayPlace | None:
    """Where this machine's relay is to be; None where it is to have none.

    Raises:
        RelayAddressWrong: The environment says no address.
        ValueError: It names one that is not usable here.
    """
    place = relay_place()
    wrong = relay_check(place) if place is not None else ""
    if wrong:
        raise ValueError(wrong)
    return place


@dataclass(frozen=True)
class HostPlaces:
    """On which machine each host is, and by which relay it is reached."""

    hosts: dict[str, tuple[str, str]]

    def way_to(self, *, host: str, uid: str, address: str) -> Address | None:
        """How a gateway of this machine reaches a replica; None where it cannot.

        The socket itself where it lies here, in our folder of sockets or in that of a host that has no relay; what
        lies at that path on another machine, or in another container, is not it.

        Args:
            address: As the host says it, `unix:/path`.
        """
        boot, relay = self.hosts.get(host, ("", ""))
        there = address_parse(address)
        is_here = not boot or not boot_identity() or boot == boot_identity()
        path = Path(there.path)
        if is_here and (not relay or path.is_relative_to(runtime_dir())) and (path.exists() or not relay):
            return there
        if not relay:
            return None
        found = address_parse(relay)
        return Address(host=found.host, port=found.port, relay=replica_name(uid))


def host_places() -> HostPlaces:
    """Of every host that has ever reported."""
    nodes = Node.objects.filter(kind=NodeKind.HOST).values_list("name", "info")
    return HostPlaces({name: (str(info.get(BOOT, "")), str(info.get(INFO, ""))) for name, info in nodes})


def gateway_relays() -> list[Address]:
    """Relays of gateways of other machines, whoever was heard of last first."""
    place = relay_place()
    ours = str(place.reached) if place is not None else ""
    relays = [
        str(node.info.get(INFO, "")) for node in nodes_alive(kind=NodeKind.GATEWAY).order_by("-seen_at")
    ]
    return [address_parse(relay) for relay in dict.fromkeys(relays) if relay and relay != ours]
