"""Which host takes a pending replica, where several could: pure.

The replicas of a variant are spread over machines, so that the loss of one leaves the others: a host with fewest of the
variant takes the next, of those the one with the least to do, of those the first by name. Every host comes to the same
answer by itself; nobody hands replicas out. Called by `services.placement`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class HostLoad:
    """A living host: the queues it serves, how many replicas it takes at most, and those it has, by variant."""

    name: str
    queues: Collection[str]
    capacity: int
    variants: Counter[int] = field(default_factory=Counter)

    @property
    def n_replicas(self) -> int:
        return self.variants.total()

    def may_take(self, queue: str) -> bool:
        return (not queue or queue in self.queues) and self.n_replicas < self.capacity


@dataclass(frozen=True)
class Waiting:
    """A pending replica. `queue` is what its instance type needs; empty where any host may have it."""

    pk: int
    variant_id: int
    queue: str


def replicas_for_others(
    host: str, *, waiting: Iterable[Waiting], hosts: Mapping[str, HostLoad]
) -> frozenset[int]:
    """Those that another host is to take. Counts them as taken, so that one pass spreads all that wait."""
    theirs = set()
    for replica in waiting:
        able = [load for load in hosts.values() if load.may_take(replica.queue)]
        if not able:
            continue
        best = min(able, key=lambda load: (load.variants[replica.variant_id], load.n_replicas, load.name))
        best.variants[replica.variant_id] += 1
        if best.name != host:
            theirs.add(replica.pk)
    return frozenset(theirs)
