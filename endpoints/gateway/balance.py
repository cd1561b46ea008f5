"""Which variant, which replica: the live state beside the routing table.

Variants take turns by weight (nginx' smooth weighted round robin, so 9 to 1 is never nine in a row and then
one), replicas by the fewest requests in hand. A replica that fails is left alone for a moment, longer each
time. State lives on when a new table names the same variant or address. Used on the event loop only; does no
I/O but to close connections.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import monotonic

from endpoints.capture.rule import LiveCapture
from endpoints.gateway.routing import Elasticity, Route, RouteVariant, RoutingTable
from endpoints.gateway.waiting import ElasticVariant
from endpoints.serving.address import Address
from endpoints.serving.answers import ValidationError
from endpoints.serving.client import Connect, ConnectionPool, connect
from mlplatform.core.errors import Throttled

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0


def _nobody() -> None:
    """Nobody is told."""


class Replica:
    """One model server and what we know of it."""

    def __init__(self, address: Address, *, connect: Connect = connect) -> None:
        self.address = address
        self.pool = ConnectionPool(address, connect=connect)
        self.n_outstanding = 0
        self.resting_until = 0.0
        self.last_used = 0
        self._pause_s = _FIRST_PAUSE_S

    def succeeded(self) -> None:
        self._pause_s = _FIRST_PAUSE_S
        self.resting_until = 0.0

    def failed(self, now: float) -> None:
        if now >= self.resting_until:
            self.resting_until = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


class LiveVariant:
    """A variant of an endpoint with its turn counter and replicas."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.weight = 0.0
        self.turn = 0.0
        self.replicas: list[Replica] = []
        self.elastic: ElasticVariant | None = None
        self._n_picked = 0

    def pick(self, *, tried: Collection[Replica], n_outstanding_max: int) -> Replica | None:
        """The replica with the fewest requests in hand, of those not tried yet; one that rests only when all
        do.

        Raises:
            Throttled: Every one of them has `n_outstanding_max` requests in hand.
        """
        left = [replica for replica in self.replicas if replica not in tried]
        if not left:
            return None
        now = monotonic()
        awake = [replica for replica in left if replica.resting_until <= now] or left
        chosen = min(awake, key=lambda replica: (replica.n_outstanding, replica.last_used))
        if chosen.n_outstanding >= n_outstanding_max:
            raise Throttled(
                f"variant {self.name!r}: {n_outstanding_max} requests are in hand for each of its "
                f"{len(left)} replicas; try again later"
            )
        self._n_picked += 1
        chosen.last_used = self._n_picked
        return chosen


class LiveRoute:
    """An endpoint as the gateway serves it now."""

    def __init__(self, route: Route, variants: list[LiveVariant]) -> None:
        self.endpoint_name = route.endpoint_name
        self.endpoint_id = route.endpoint_id
        self.status = route.status
        self.is_async = route.is_async
        self.variants = variants
        self.capture = _capture(route)

    def choose(self, target: str | None) -> LiveVariant:
        """The variant asked for, or the next by weight; those without a ready replica are passed over if
        others have one, but for elastic ones, which a request wakes up.

        Raises:
            ValidationError: No variant of that name, or none takes requests that name no variant.
        """
        if target is not None:
            for variant in self.variants:
                if variant.name == target:
                    return variant
            names = ", ".join(repr(variant.name) for variant in self.variants)
            raise ValidationError(
                f"variant: {target!r} is not one of the endpoint's variants ({names or 'it has none'})"
            )
        if len(self.variants) == 1 and self.variants[0].weight > 0:
            return self.variants[0]
        weighted = [variant for variant in self.variants if variant.weight > 0]
        ready = [variant for variant in weighted if variant.replicas or variant.elastic] or weighted
        if not ready:
            raise ValidationError(
                f"endpoint {self.endpoint_name!r}: no variant has a weight above 0; name one"
            )
        return _next_by_weight(ready)


class Balancer:
    """All live routes, kept in step with the routing table.

    Args:
        nudge: Has what elastic variants call for written down at once.
        connect: Opens a connection to a replica.
    """

    def __init__(self, *, nudge: Callable[[], None] = _nobody, connect: Connect = connect) -> None:
        self.has_table = False
        self._connect = connect
        self._nudge = nudge
        self._routes: dict[tuple[str, str], LiveRoute] = {}
        self._variants: dict[tuple[int, str], LiveVariant] = {}
        self._replicas: dict[Address, Replica] = {}

    def route(self, project: str, endpoint_name: str) -> LiveRoute | None:
        return self._routes.get((project, endpoint_name))

    def adopt(self, table: RoutingTable) -> None:
        """Takes the new table over; connections to replicas that it no longer has are closed once idle."""
        old_replicas, self._replicas = self._replicas, {}
        old_variants, self._variants = self._variants, {}
        self._routes = {
            (route.project, route.endpoint_name): LiveRoute(
                route,
                [self._variant(route, variant, old_variants, old_replicas) for variant in route.variants],
            )
            for route in table.routes
        }
        self.has_table = True
        for address, replica in old_replicas.items():
            if address not in self._replicas:
                replica.pool.close()
        for key, variant in old_variants.items():
            if variant.elastic is not None and self._variants.get(key) is not variant:
                variant.replicas = []
                variant.elastic.close()

    def routes(self) -> list[tuple[str, LiveRoute]]:
        """Every live route with its project's name, in the table's order."""
        return [(project, route) for (project, _), route in self._routes.items()]

    def elastic_variants(self) -> list[ElasticVariant]:
        return [variant.elastic for variant in self._variants.values() if variant.elastic is not None]

    def replicas(self) -> list[Replica]:
        return list(self._replicas.values())

    def close(self) -> None:
        for replica in self._replicas.values():
            replica.pool.close()

    def _variant(
        self,
        route: Route,
        variant: RouteVariant,
        old_variants: dict[tuple[int, str], LiveVariant],
        old_replicas: dict[Address, Replica],
    ) -> LiveVariant:
        key = (route.endpoint_id, variant.name)
        live = old_variants.get(key) or LiveVariant(variant.name)
        live.turn = live.turn if live.weight == variant.weight else 0.0
        live.weight = variant.weight
        live.replicas = [self._replica(address, old_replicas) for address in variant.replicas]
        self._variants[key] = live
        self._adopt_elastic(live, variant.elastic)
        return live

    def _adopt_elastic(self, live: LiveVariant, spec: Elasticity | None) -> None:
        if spec is None:
            if live.elastic is not None:
                live.elastic.close()
            live.elastic = None
            return
        if live.elastic is None:
            live.elastic = ElasticVariant(live.name, nudge=self._nudge)
        live.elastic.adopt(spec, has_replicas=bool(live.replicas))

    def _replica(self, address: Address, old_replicas: dict[Address, Replica]) -> Replica:
        if address not in self._replicas:
            self._replicas[address] = old_replicas.get(address) or Replica(address, connect=self._connect)
        return self._replicas[address]


def _capture(route: Route) -> LiveCapture | None:
    if route.capture is None:
        return None
    return LiveCapture(
        route.capture,
        project=route.project,
        endpoint=route.endpoint_name,
        endpoint_id=route.endpoint_id,
    )


def _next_by_weight(variants: list[LiveVariant]) -> LiveVariant:
    for variant in variants:
        variant.turn += variant.weight
    chosen = max(variants, key=lambda variant: variant.turn)
    chosen.turn -= sum(variant.weight for variant in variants)
    return chosen
