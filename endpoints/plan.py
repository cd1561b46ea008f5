"""What has to happen next for an endpoint: wanted x observed -> actions. Pure: no database, process or clock.

An endpoint moves from its `live` configuration to the `wanted` one: first all new replicas, then the switch,
then the old ones drain, so that there is always somebody to answer. Replicas whose variant is the same in both
(name, model, instance type or memory, what a request may take) are taken over instead of started anew. An elastic
variant has as many replicas as its requests call for, none while there are none; before it takes over, one must have
loaded its model.
What is not here: how a replica is started (`replica_plan`) and how actions are written down (`services.rollout`,
which calls this).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlplatform.core.status import EndpointStatus, ReplicaStatus

HEALTH_WINDOW_S = 30.0
"""The promise: an InService endpoint answers, or is no longer InService so long after it last could."""
DOWN_MAX_S = 24.0
"""So long may a variant be without a ready replica; the rest of the window is for whoever looks to come round."""
COLD_MAX_S = 60.0
"""So long may the requests to a variant that was asleep wait for its first replica."""

_HOLDS_A_PLACE = frozenset(
    {ReplicaStatus.PENDING, ReplicaStatus.STARTING, ReplicaStatus.IN_SERVICE, ReplicaStatus.FAILED}
)
_FAILED = ReplicaStatus.FAILED
_ROLLING = frozenset({EndpointStatus.CREATING, EndpointStatus.UPDATING})
_LEAVE_FIRST = (ReplicaStatus.FAILED, ReplicaStatus.PENDING, ReplicaStatus.STARTING, ReplicaStatus.IN_SERVICE)


@dataclass(frozen=True)
class WantedVariant:
    """`elastic`: its number of replicas follows the requests, and 0 is as it should be while there are none.
    `patient`: its replicas take the larger and longer requests of asynchronous inference.
    """

    id: int
    name: str
    model_id: int
    instance_type: str
    n_replicas: int
    weight: float = 1.0
    elastic: bool = False
    memory_mb: int = 0
    patient: bool = False

    @property
    def likeness(self) -> tuple[str, int, str, int, bool]:
        """Variants of one endpoint that are alike can share replicas."""
        return self.name, self.model_id, self.instance_type, self.memory_mb, self.patient

    @property
    def n_proving(self) -> int:
        """Replicas that must be ready before it takes over: an elastic one proves that its model loads."""
        return max(1, self.n_replicas) if self.elastic else self.n_replicas


@dataclass(frozen=True)
class WantedConfig:
    id: int
    variants: tuple[WantedVariant, ...]


@dataclass(frozen=True)
class ObservedReplica:
    """`claimed`: a host has it, so it may have a process; `down_s`: for how long it has not been ready."""

    id: int
    variant_id: int
    index: int
    status: ReplicaStatus
    claimed: bool = True
    down_s: float = 0.0

    @property
    def holds_place(self) -> bool:
        return self.status in _HOLDS_A_PLACE

    @property
    def ready(self) -> bool:
        return self.status == ReplicaStatus.IN_SERVICE


@dataclass(frozen=True)
class EndpointView:
    status: EndpointStatus
    wanted: WantedConfig
    live: WantedConfig | None
    replicas: tuple[ObservedReplica, ...]


@dataclass(frozen=True)
class AddReplica:
    variant_id: int
    index: int


@dataclass(frozen=True)
class DrainReplica:
    """It gets no more requests; its host ends it when the running ones are answered."""

    replica_id: int


@dataclass(frozen=True)
class MoveReplica:
    """A running replica is taken over by the alike variant of the new configuration."""

    replica_id: int
    variant_id: int


@dataclass(frozen=True)
class RemoveReplica:
    """It has no process: the row goes, and its log when newer ones are kept."""

    replica_id: int


@dataclass(frozen=True)
class SwitchLive:
    """`wanted` becomes `live` and the endpoint InService."""


@dataclass(frozen=True)
class RollBack:
    """`live` becomes `wanted` again; the failure of this replica is kept on the endpoint."""

    replica_id: int


@dataclass(frozen=True)
class Fail:
    """The endpoint is Failed by this replica, or because nobody answers."""

    replica_id: int | None


@dataclass(frozen=True)
class Settle:
    """All is as wanted: InService. After a roll-back the failure stays visible."""

    keep_failure: bool


@dataclass(frozen=True)
class RemoveEndpoint:
    """Nothing of it runs any more: all rows go."""


Action = (
    AddReplica
    | DrainReplica
    | MoveReplica
    | RemoveReplica
    | SwitchLive
    | RollBack
    | Fail
    | Settle
    | RemoveEndpoint
)


def endpoint_plan(view: EndpointView) -> tuple[Action, ...]:
    """The actions that bring the endpoint nearer to what is wanted; none when it is there.

    Carrying them out and planning again, while hosts start and end replicas, reaches a state without actions.
    Linear in the number of replicas.
    """
    gone = [RemoveReplica(replica.id) for replica in view.replicas if replica.status == ReplicaStatus.GONE]
    if view.status == EndpointStatus.DELETING:
        return (*gone, *_end(view))
    if _rolls_out(view):
        return (*gone, *_roll_out(view))
    return (*gone, *_keep(view))


def _rolls_out(view: EndpointView) -> bool:
    return view.status in _ROLLING and (view.live is None or view.live.id != view.wanted.id)


def _end(view: EndpointView) -> Iterator[Action]:
    yield from _let_go(replica for replica in view.replicas if replica.holds_place)
    if all(_has_no_process(replica) for replica in view.replicas):
        yield RemoveEndpoint()


def _roll_out(view: EndpointView) -> Iterator[Action]:
    """Creating or updating: the old configuration keeps answering until the new one is complete."""
    new = _by_variant(view, view.wanted)
    failed = [r for replicas in new.values() for r in replicas if r.status == ReplicaStatus.FAILED]
    if failed:
        yield RollBack(failed[0].id) if view.live else Fail(failed[0].id)
        return
    old = _by_variant(view, view.live)
    alike = {variant.likeness: old[variant.id] for variant in _variants(view.live)}
    complete, moves = True, list[Action]()
    for variant in view.wanted.variants:
        twins, own = alike.get(variant.likeness, []), new[variant.id]
        n_needed = variant.n_proving
        taken_over = [twin for twin in twins if twin.ready][: max(0, n_needed - len(own))]
        moves += [MoveReplica(replica.id, variant.id) for replica in taken_over]
        n_missing = n_needed - len(own) - len(taken_over)
        yield from _add(variant, n_missing, taken=[*own, *twins])
        n_ready = sum(replica.ready for replica in own) + len(taken_over)
        complete = complete and n_ready >= n_needed
    if complete:
        yield from moves
        yield SwitchLive()
        return
    yield from _mend(view, view.live)
    yield from _let_go(_strangers(view, view.wanted, view.live))


def _keep(view: EndpointView) -> Iterator[Action]:
    """Between changes: the live configuration is kept at its number of replicas, all others go."""
    if view.live is None:
        # A replica that failed has no process; its log is what the person needs to see.
        yield from _let_go(r for r in view.replicas if r.holds_place and r.status != ReplicaStatus.FAILED)
        return
    strangers = list(_strangers(view, view.live))
    yield from _let_go(strangers)
    yield from _mend(view, view.live)
    leaving = strangers or [replica for replica in view.replicas if replica.status == ReplicaStatus.DRAINING]
    yield from _judge(view, _by_variant(view, view.live), leaving=bool(leaving))


def _judge(view: EndpointView, live: dict[int, list[ObservedReplica]], *, leaving: bool) -> Iterator[Action]:
    mute = [v for v in _variants(view.live) if v.weight > 0 and _is_mute(v, live[v.id])]
    dead = [v for v in mute if _is_dead(v, live[v.id])]
    if view.status == EndpointStatus.FAILED and not mute:
        yield Settle(keep_failure=False)
    elif view.status == EndpointStatus.ROLLING_BACK and not mute and not leaving:
        yield Settle(keep_failure=True)
    elif view.status == EndpointStatus.UPDATING and not mute:
        yield Settle(keep_failure=False)
    elif view.status != EndpointStatus.FAILED and dead:
        failed = [replica for replica in live[dead[0].id] if replica.status == ReplicaStatus.FAILED]
        yield Fail(failed[0].id if failed else None)


def _is_mute(variant: WantedVariant, replicas: list[ObservedReplica]) -> bool:
    """Whether it does not answer although it should. One that is asleep answers, unless its last start failed."""
    if any(replica.ready for replica in replicas):
        return False
    return not variant.elastic or variant.n_replicas > 0 or any(r.status == _FAILED for r in replicas)


def _is_dead(variant: WantedVariant, replicas: list[ObservedReplica]) -> bool:
    if not replicas:
        return False
    if (
        variant.elastic
    ):  # before it has started nobody knows whether it would answer: failed starts are the news
        failed = all(replica.status == _FAILED for replica in replicas)
        return failed or min(replica.down_s for replica in replicas) > COLD_MAX_S
    return min(replica.down_s for replica in replicas) > DOWN_MAX_S


def _mend(view: EndpointView, config: WantedConfig | None) -> Iterator[Action]:
    """Adds what is missing and lets go what is too much in a configuration that answers."""
    places = _by_variant(view, config)
    for variant in _variants(config):
        replicas = places[variant.id]
        yield from _add(variant, variant.n_replicas - len(replicas), taken=replicas)
        leaving = sorted(replicas, key=lambda replica: (_LEAVE_FIRST.index(replica.status), -replica.index))
        yield from _let_go(leaving[: max(0, len(replicas) - _n_kept(variant, replicas))])


def _n_kept(variant: WantedVariant, replicas: list[ObservedReplica]) -> int:
    """A replica that could not be started stays, without a process, with its words and its log, until one could."""
    if variant.elastic and replicas and all(replica.status == _FAILED for replica in replicas):
        return max(1, variant.n_replicas)
    return variant.n_replicas


def _add(variant: WantedVariant, n_missing: int, *, taken: list[ObservedReplica]) -> Iterator[Action]:
    used = {replica.index for replica in taken}
    index = 0
    for _ in range(n_missing):
        while index in used:
            index += 1
        yield AddReplica(variant.id, index)
        used.add(index)


def _let_go(replicas: Iterable[ObservedReplica]) -> Iterator[Action]:
    for replica in replicas:
        yield DrainReplica(replica.id) if replica.claimed else RemoveReplica(replica.id)


def _by_variant(view: EndpointView, config: WantedConfig | None) -> dict[int, list[ObservedReplica]]:
    places: dict[int, list[ObservedReplica]] = {variant.id: [] for variant in _variants(config)}
    for replica in view.replicas:
        if replica.variant_id in places and replica.holds_place:
            places[replica.variant_id].append(replica)
    return places


def _strangers(view: EndpointView, *configs: WantedConfig | None) -> Iterator[ObservedReplica]:
    known = {variant.id for config in configs for variant in _variants(config)}
    return (replica for replica in view.replicas if replica.holds_place and replica.variant_id not in known)


def _variants(config: WantedConfig | None) -> tuple[WantedVariant, ...]:
    return config.variants if config else ()


def _has_no_process(replica: ObservedReplica) -> bool:
    return replica.status == ReplicaStatus.GONE or not replica.claimed
