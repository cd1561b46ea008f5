"""Where this machine's relay listens and by which address other machines reach it, from the environment.

`MLPLATFORM_RELAY_ADDRESS` is both; where it listens on every address, others are told the machine's host name, or what
`MLPLATFORM_RELAY_ADVERTISE` says. Without it the machine has no relay.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from endpoints.serving.address import Address, address_parse
from mlplatform.core.env import env_text

ADDRESS: Final = "MLPLATFORM_RELAY_ADDRESS"
ADVERTISE: Final = "MLPLATFORM_RELAY_ADVERTISE"
INFO: Final = "relay"
"""What a heartbeat calls the address of its machine's relay, in its details."""
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", "*"})


class RelayAddressWrong(ValueError):
    """A variable says no address: starting again does not help."""


@dataclass(frozen=True)
class RelayPlace:
    """Where the relay listens, and where it is reached."""

    listens: Address
    reached: Address


def relay_place() -> RelayPlace | None:
    """What the environment says; None where this machine is to have no relay.

    Raises:
        RelayAddressWrong: It names variable, value and what is accepted.
    """
    given, told = _address(ADDRESS), _address(ADVERTISE)
    if given is None:
        if told is not None:
            raise RelayAddressWrong(f"{ADVERTISE} is set and {ADDRESS} is not: give both, or neither")
        return None
    if given.host in _EVERYWHERE:
        listens = Address(host="0.0.0.0" if given.host == "*" else given.host, port=given.port)
        return RelayPlace(listens, told or Address(host=socket.gethostname(), port=given.port))
    return RelayPlace(given, told or given)


def relay_info() -> dict[str, str]:
    """What a heartbeat says of the relay of its machine; nothing where there is none."""
    place = relay_place()
    return {} if place is None else {INFO: str(place.reached)}


def _address(name: str) -> Address | None:
    text = env_text(name).strip()
    if not text:
        return None
    try:
        address = address_parse(text)
    except ValueError:
        address = Address()
    if not address.host or not address.port or (name == ADVERTISE and address.host in _EVERYWHERE):
        raise RelayAddressWrong(
            f"{name}={text!r} is not accepted; use tcp:host:port, such as tcp:10.0.0.5:9310"
        )
    return address
