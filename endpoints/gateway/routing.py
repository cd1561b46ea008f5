"""What the gateway knows of endpoints and access keys: plain values, made by `load_table`, replaced as a
whole.

No sockets, no database, no clock. `balance.py` keeps the live state beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from endpoints.serving.address import Address

Version = int | str


@dataclass(frozen=True)
class RouteVariant:
    """A production variant: its share of the requests and the replicas that are ready now."""

    name: str
    weight: float
    replicas: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Route:
    """An endpoint. `status` is its status word, shown to callers while no replica is ready."""

    project: str
    endpoint_name: str
    endpoint_id: int
    status: str
    variants: tuple[RouteVariant, ...] = ()


@dataclass(frozen=True)
class KeyRecord:
    """An access key that may be used now.

    Attributes:
        secret_sha256: Hex digest of the secret.
        expires_at: Seconds since the epoch; None for never.
    """

    secret_sha256: str
    project_name: str
    role: str
    user: str
    expires_at: float | None = None


@dataclass(frozen=True)
class RoutingTable:
    """All routes and keys at one version. Two tables of the same version are equal."""

    version: Version
    routes: tuple[Route, ...] = ()
    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
