"""What the gateway knows of endpoints and access keys: plain values, made by `load_table`, replaced as a
whole.

No sockets, no database, no clock. `balance.py` keeps the live state beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from endpoints.capture.rule import CaptureRule
from endpoints.serving.address import Address

Version = int | str


@dataclass(frozen=True)
class StartFailure:
    """Why the last start of a model server failed, and from when on (seconds since the epoch) it is tried again."""

    reason: str
    again_at: float


@dataclass(frozen=True)
class Elasticity:
    """What is known of a variant whose replicas follow its requests.

    Attributes:
        n_most: How many replicas it may have; `n_wanted` is how many it is to have now.
        max_concurrency: Requests in hand, of a serverless one; None for no limit of its own.
    """

    variant_id: int
    n_most: int
    n_wanted: int = 0
    max_concurrency: int | None = None
    failure: StartFailure | None = None


@dataclass(frozen=True)
class RouteVariant:
    """A production variant: its share of the requests and the replicas that are ready now."""

    name: str
    weight: float
    replicas: tuple[Address, ...] = ()
    elastic: Elasticity | None = None


@dataclass(frozen=True)
class Route:
    """An endpoint. `status` is its status word, shown to callers while no replica is ready; `is_async` where only runs
    may call it, which take in requests that are objects; `capture` what is kept of its requests, None for nothing.
    """

    project: str
    endpoint_name: str
    endpoint_id: int
    status: str
    variants: tuple[RouteVariant, ...] = ()
    is_async: bool = False
    capture: CaptureRule | None = None


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
