"""Carries out the plan of an endpoint: one transaction per step, with the endpoint's row locked.

Called by hosts in their loop, by the services that change an endpoint, and safe to call by anybody at any time. What is
to be done is decided in `endpoints.plan`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Min, Prefetch, Q

from endpoints.models import Endpoint, EndpointConfig, ProductionVariant, Replica, TableRun
from endpoints.plan import (
    Action,
    AddReplica,
    DrainReplica,
    EndpointView,
    Fail,
    MoveReplica,
    ObservedReplica,
    RemoveEndpoint,
    RemoveReplica,
    RollBack,
    Settle,
    SwitchLive,
    WantedConfig,
    WantedVariant,
    endpoint_plan,
)
from endpoints.selectors.serverless_costs import endpoint_serverless_costs
from endpoints.services.async_invocations import async_invocations_end
from endpoints.services.elastic import elastic_begin, is_elastic, replicas_most
from endpoints.services.replica_logs import replica_log_keep, replica_logs_delete
from jobs.selectors.prices import prices_now
from jobs.services.spending import spent_keep
from mlplatform.core import clock
from mlplatform.core.logs import log_stream_create
from mlplatform.core.models import NodeKind
from mlplatform.core.names import uid_new
from mlplatform.core.nodes import nodes_alive
from mlplatform.core.revisions import revision_bump
from mlplatform.core.status import EndpointStatus, ReplicaStatus
from mlplatform.core.storage.objects import objects_bury
from mlplatform.core.text import text as _
from mlplatform.core.text import to_json
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)

NOBODY_ANSWERS = _("No replica has answered for longer than the health window; see the logs of the replicas")


def rollout_steps() -> int:
    """Takes one step for every endpoint that is not as wanted; how many there were. Three queries when all are."""
    endpoints = _with_configs(Endpoint.objects.all())
    replicas: dict[int, list[Replica]] = defaultdict(list)
    for replica in Replica.objects.filter(endpoint__in=endpoints).order_by("pk"):
        replicas[replica.endpoint_id].append(replica)
    watch = _Watch.now()
    due = [
        endpoint.pk for endpoint in endpoints if endpoint_plan(_view(endpoint, replicas[endpoint.pk], watch))
    ]
    return sum(rollout_step(endpoint_id=endpoint_id) for endpoint_id in due)


def rollout_step(*, endpoint_id: int) -> bool:
    """Plans and carries out one step of an endpoint; whether there was anything to do."""
    with transaction.atomic():
        locked = Endpoint.objects.select_for_update(of=("self",)).filter(pk=endpoint_id)
        endpoint = next(iter(_with_configs(locked)), None)
        if endpoint is None:
            return False
        replicas = list(
            Replica.objects.select_for_update(of=("self",)).filter(endpoint=endpoint).order_by("pk")
        )
        actions = endpoint_plan(_view(endpoint, replicas, _Watch.now()))
        if not actions:
            return False
        _Rollout(endpoint, {replica.pk: replica for replica in replicas}).carry_out(actions)
        revision_bump()
    return True


def _with_configs(endpoints: Any) -> list[Endpoint]:
    variants = Prefetch("variants", ProductionVariant.objects.order_by("pk"))
    configs = EndpointConfig.objects.prefetch_related(variants)
    return list(
        endpoints.select_related("project").prefetch_related(
            Prefetch("wanted", configs), Prefetch("live", configs)
        )
    )


@dataclass(frozen=True)
class _Watch:
    """The time, and since when a host has been there to start replicas: a machine switched off is no model's fault."""

    at: datetime
    hosts_since: datetime | None

    @classmethod
    def now(cls) -> _Watch:
        first = nodes_alive(kind=NodeKind.HOST).aggregate(first=Min("started_at"))["first"]
        return cls(clock.now(), first)

    def down_s(self, since: datetime) -> float:
        """A host that seems to have begun in the future began before the clock was set back: it has long been there."""
        hosts_since = self.hosts_since
        began = since if hosts_since is None or hosts_since > self.at else max(since, hosts_since)
        return (self.at - began).total_seconds()


def _view(endpoint: Endpoint, replicas: Iterable[Replica], watch: _Watch) -> EndpointView:
    wanted = _config_view(endpoint.wanted)
    live = _config_view(endpoint.live) if endpoint.live else None
    observed = tuple(_replica_view(replica, watch) for replica in replicas)
    return EndpointView(EndpointStatus(endpoint.status), wanted, live, observed)


def _config_view(config: EndpointConfig) -> WantedConfig:
    return WantedConfig(
        config.pk,
        tuple(
            _variant_view(variant, patient=config.async_inference is not None)
            for variant in config.variants.all()
        ),
    )


def _variant_view(variant: ProductionVariant, *, patient: bool) -> WantedVariant:
    return WantedVariant(
        id=variant.pk,
        name=variant.name,
        model_id=variant.model_id,
        instance_type=variant.instance_type,
        n_replicas=min(variant.n_wanted, replicas_most(variant))
        if is_elastic(variant)
        else variant.instance_count,
        weight=variant.weight,
        elastic=is_elastic(variant),
        memory_mb=variant.serverless_memory_mb or 0,
        patient=patient,
    )


def _replica_view(replica: Replica, watch: _Watch) -> ObservedReplica:
    ready = replica.status == ReplicaStatus.IN_SERVICE
    return ObservedReplica(
        id=replica.pk,
        variant_id=replica.variant_id,
        index=replica.index,
        status=ReplicaStatus(replica.status),
        claimed=bool(replica.host),
        down_s=0.0 if ready else watch.down_s(replica.ended_at or replica.created_at),
    )


class _Rollout:
    """One transaction's worth of actions for one endpoint."""

    def __init__(self, endpoint: Endpoint, replicas: dict[int, Replica]) -> None:
        self._endpoint = endpoint
        self._replicas = replicas
        self._left_configs: set[int] = set()

    def carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._carry_out(action)
        _configs_prune(self._left_configs)

    def _carry_out(self, action: Action) -> None:
        match action:
            case AddReplica(variant_id, index):
                self._add(variant_id, index)
            case DrainReplica(replica_id):
                status_update(
                    self._replica(replica_id), to=ReplicaStatus.DRAINING, address="", ended_at=clock.now()
                )
            case MoveReplica(replica_id, variant_id):
                self._replica(replica_id).update(variant_id=variant_id)
            case RemoveReplica(replica_id):
                self._remove(self._replicas[replica_id])
            case SwitchLive():
                self._left_configs.update({self._endpoint.live_id} - {None})  # type: ignore[arg-type]
                elastic_begin(config_id=self._endpoint.wanted_id)
                self._change(
                    EndpointStatus.IN_SERVICE,
                    live=self._endpoint.wanted,
                    failure=None,
                    in_service_at=clock.now(),
                )
            case RollBack(replica_id):
                self._left_configs.add(self._endpoint.wanted_id)
                failure = self._failure(replica_id)
                self._change(EndpointStatus.ROLLING_BACK, wanted=self._endpoint.live, failure=failure)
            case Fail(replica_id):
                self._change(EndpointStatus.FAILED, failure=self._failure(replica_id))
            case Settle(keep_failure):
                kept = self._endpoint.failure if keep_failure else None
                self._change(EndpointStatus.IN_SERVICE, failure=kept, in_service_at=clock.now())
            case RemoveEndpoint():
                self._end()

    def _replica(self, replica_id: int) -> Any:
        return Replica.objects.filter(pk=replica_id)

    def _add(self, variant_id: int, index: int) -> None:
        Replica.objects.create(
            endpoint=self._endpoint,
            variant_id=variant_id,
            uid=uid_new(),
            index=index,
            log=log_stream_create(),
            created_at=clock.now(),
        )

    def _remove(self, replica: Replica) -> None:
        variant = ProductionVariant.objects.filter(pk=replica.variant_id).first()
        replica.delete()
        replica_log_keep(endpoint=self._endpoint, replica=replica)
        if variant is not None:
            self._left_configs.add(variant.config_id)

    def _failure(self, replica_id: int | None) -> dict[str, Any]:
        """The replica's own words; where none is meant, those of one that is being tried again after a failure."""
        tried = self._replicas.values() if replica_id is None else [self._replicas[replica_id]]
        replica = next((replica for replica in tried if replica.failure), None)
        if replica is None:
            said = to_json(NOBODY_ANSWERS)
            return {"reason": str(NOBODY_ANSWERS), "said": said, "detail": "", "log_tail": []}
        return {**(replica.failure or {}), "replica": replica.uid, "at": clock.now().isoformat()}

    def _change(self, status: EndpointStatus, **values: Any) -> None:
        """The plan knows the table of legal transitions and the row is locked: anything else is a fault of ours."""
        values["updated_at"] = clock.now()
        same = Endpoint.objects.filter(pk=self._endpoint.pk)
        if not status_update(same, to=status, **values):
            raise RuntimeError(f"{self._endpoint.name}: {self._endpoint.status} cannot become {status}")
        for name, value in (values | {"status": status}).items():
            setattr(self._endpoint, name, value)
        logger.info("endpoint %s is %s", self._endpoint.name, status.value)

    def _end(self) -> None:
        """All of it goes; not yet while asynchronous requests wait that are to be told, some of them at a time."""
        endpoint = self._endpoint
        if not async_invocations_end(endpoint=endpoint):
            return
        runs = TableRun.objects.select_for_update(of=("self",)).filter(endpoint=endpoint)
        results = [run.result_uri for run in runs if run.result_uri]
        for replica in Replica.objects.filter(endpoint=endpoint):
            self._remove(replica)
        replica_logs_delete(endpoint=endpoint)
        self._left_configs |= {endpoint.wanted_id, endpoint.live_id or endpoint.wanted_id}
        name = endpoint.name
        for one in endpoint_serverless_costs(endpoint=endpoint, prices=prices_now()):
            spent_keep(
                project=endpoint.project,
                kind="endpoint",
                name=name,
                detail="serverless",
                cost=one.cost,
                at=one.at,
            )
        endpoint.delete()
        objects_bury(results, reason="endpoint")
        logger.info("endpoint %s is deleted", name)


def _configs_prune(config_ids: set[int]) -> None:
    """Removes configurations that no endpoint and no replica uses any more."""
    used = Endpoint.objects.filter(Q(wanted__in=config_ids) | Q(live__in=config_ids))
    in_use = {config_id for pair in used.values_list("wanted_id", "live_id") for config_id in pair}
    with_replicas = Replica.objects.filter(variant__config__in=config_ids).values_list(
        "variant__config_id", flat=True
    )
    EndpointConfig.objects.filter(pk__in=config_ids - in_use - set(with_replicas)).delete()
