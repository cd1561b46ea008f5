"""Creates, changes and deletes endpoints. What is asked for is written down here; hosts make it so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from enum import Enum
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from endpoints.models import Endpoint, EndpointConfig, Model, ProductionVariant
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.async_config import AsyncInferenceRequest, async_check, async_request_of
from endpoints.services.data_capture import CaptureRequest, data_capture_set
from endpoints.services.elastic import elastic_begin
from endpoints.services.invocations import InvokeResult, endpoint_invoke
from endpoints.services.rollout import rollout_step
from endpoints.services.serverless import ServerlessRequest
from endpoints.services.variants import (
    VariantRequest,
    counts_check,
    limits_check,
    variant_columns,
    variant_names_check,
    variant_requests,
    variants_check,
)
from jobs.services.request_checks import tags_check
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest
from mlplatform.core.models import Role
from mlplatform.core.names import name_check, name_with_time, uid_new
from mlplatform.core.people.access import Actor, project_lock
from mlplatform.core.revisions import revision_bump
from mlplatform.core.status import EndpointStatus
from mlplatform.core.transitions import status_update

__all__ = [
    "UNCHANGED",
    "AsyncInferenceRequest",
    "CaptureRequest",
    "InvokeResult",
    "ServerlessRequest",
    "VariantRequest",
    "endpoint_create",
    "endpoint_delete",
    "endpoint_invoke",
    "endpoint_update",
    "endpoint_update_weights",
    "variant_requests",
]


class Unchanged(Enum):
    """Leaves what there is, where None would mean none."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
_AT_REST = frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.FAILED})


def endpoint_create(
    *,
    actor: Actor,
    name: str,
    variants: Sequence[VariantRequest],
    description: str = "",
    tags: Mapping[str, str] | None = None,
    async_inference: AsyncInferenceRequest | None = None,
    data_capture: CaptureRequest | None = None,
) -> Endpoint:
    """Asks for a new endpoint; it is Creating until its replicas answer.

    Args:
        async_inference: Given, it takes requests as objects, and those alone.
        data_capture: Given, what is captured of its requests from the first one on.

    Raises:
        InvalidRequest: a field that cannot be used.
        LimitExceeded: more instances of a type than the project may use.
        Conflict: the name is taken.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    name_check(name)
    checked_tags = _tags_check(tags or {})
    now = clock.now()
    with transaction.atomic():
        project_lock(actor.project)
        models = variants_check(project=actor.project, variants=variants)
        _refuse_taken(actor, name)
        limits_check(project=actor.project, variants=variants)
        endpoint = Endpoint.objects.create(
            project=actor.project,
            name=name,
            uid=uid_new(),
            description=description[:2000],
            wanted=_config_create(actor, name, variants, models, async_inference),
            tags=checked_tags,
            created_by=actor.user,
            created_at=now,
            updated_at=now,
        )
        if data_capture is not None:
            data_capture_set(actor=actor, endpoint=endpoint, request=data_capture, where="data_capture.")
        rollout_step(endpoint_id=endpoint.pk)
        _audit(actor, "endpoint.create", name, variants, async_inference)
    return endpoint


def endpoint_update(
    *,
    actor: Actor,
    name: str,
    variants: Sequence[VariantRequest],
    async_inference: AsyncInferenceRequest | Unchanged | None = UNCHANGED,
) -> Endpoint:
    """Asks for other variants. The old ones answer until the new ones are ready; if those fail, all stays as it was.

    Args:
        async_inference: None for an endpoint that answers at once; by default as it is.

    Raises:
        NotFound, InvalidRequest, LimitExceeded, AccessDenied.
        Conflict: the endpoint is being changed already.
    """
    actor.require(Role.EDITOR)
    with transaction.atomic():
        project_lock(actor.project)
        models = variants_check(project=actor.project, variants=variants)
        endpoint = _at_rest(actor, name)
        limits_check(project=actor.project, variants=variants, besides=endpoint)
        asked = (
            async_request_of(endpoint.wanted) if isinstance(async_inference, Unchanged) else async_inference
        )
        _update_to(endpoint, _config_create(actor, name, variants, models, asked))
        _audit(actor, "endpoint.update", name, variants, asked)
    return endpoint_get(actor=actor, name=name)


def endpoint_update_weights(
    *,
    actor: Actor,
    name: str,
    weights: Mapping[str, float] | None = None,
    counts: Mapping[str, int] | None = None,
) -> Endpoint:
    """Changes shares and numbers of instances; replicas that may stay are kept running.

    Weights alone hold at once. A change of counts is an update, with its status and its roll-back.

    Raises:
        NotFound, InvalidRequest, LimitExceeded, Conflict, AccessDenied.
    """
    actor.require(Role.EDITOR)
    weights, counts = weights or {}, counts or {}
    with transaction.atomic():
        project_lock(actor.project)
        endpoint = _at_rest(actor, name)
        now_asked = variant_requests(endpoint.wanted)
        variant_names_check(variants=now_asked, given=weights, field="weights")
        variant_names_check(variants=now_asked, given=counts, field="counts")
        counts_check(variants=now_asked, counts=counts)
        variants = [
            replace(
                variant,
                weight=weights.get(variant.name, variant.weight),
                instance_count=counts.get(variant.name, variant.instance_count),
            )
            for variant in now_asked
        ]
        models = variants_check(project=actor.project, variants=variants)
        if [v.instance_count for v in variants] == [v.instance_count for v in now_asked]:
            _weights_set(endpoint, variants)
        else:
            limits_check(project=actor.project, variants=variants, besides=endpoint)
            kept = async_request_of(endpoint.wanted)
            _update_to(endpoint, _config_create(actor, name, variants, models, kept))
        _audit(actor, "endpoint.update", name, variants)
    return endpoint_get(actor=actor, name=name)


def endpoint_delete(*, actor: Actor, name: str) -> None:
    """Asks for the endpoint's end: no more requests at once, rows gone when its model servers are.

    Raises:
        NotFound, AccessDenied.
    """
    actor.require(Role.EDITOR)
    with transaction.atomic():
        endpoint = endpoint_get(actor=actor, name=name)
        if endpoint.status != EndpointStatus.DELETING:
            same = Endpoint.objects.filter(pk=endpoint.pk)
            status_update(same, to=EndpointStatus.DELETING, updated_at=clock.now())
            revision_bump()
            audit_record(actor=actor, action="endpoint.delete", target=name)
        rollout_step(endpoint_id=endpoint.pk)


def _audit(
    actor: Actor,
    action: str,
    name: str,
    variants: Sequence[VariantRequest],
    async_inference: AsyncInferenceRequest | None = None,
) -> None:
    detail: dict[str, Any] = {"variants": [asdict(variant) for variant in variants]}
    if async_inference is not None:
        detail["async_inference"] = async_inference.to_json()
    audit_record(actor=actor, action=action, target=name, detail=detail)


def _refuse_taken(actor: Actor, name: str) -> None:
    if Endpoint.objects.filter(project=actor.project, name=name).exists():
        raise Conflict(
            _("An endpoint named “%(name)s” already exists in project %(project)s")
            % {"name": name, "project": actor.project.name}
        )


def _at_rest(actor: Actor, name: str) -> Endpoint:
    endpoint = endpoint_get(actor=actor, name=name, locked=True)
    if endpoint.status not in _AT_REST:
        accepted = ", ".join(sorted(_AT_REST))
        raise Conflict(
            _("Endpoint “%(name)s” is %(status)s; it can be changed when it is %(accepted)s")
            % {"name": name, "status": endpoint.status, "accepted": accepted}
        )
    return endpoint


def _update_to(endpoint: Endpoint, config: EndpointConfig) -> None:
    abandoned = endpoint.wanted
    status_update(
        Endpoint.objects.filter(pk=endpoint.pk),
        to=EndpointStatus.UPDATING,
        wanted=config,
        failure=None,
        updated_at=clock.now(),
    )
    if endpoint.live_id is None and not abandoned.variants.filter(replicas__isnull=False).exists():
        abandoned.delete()
    revision_bump()
    rollout_step(endpoint_id=endpoint.pk)


def _weights_set(endpoint: Endpoint, variants: Sequence[VariantRequest]) -> None:
    for variant in variants:
        ProductionVariant.objects.filter(config=endpoint.wanted, name=variant.name).update(
            weight=variant.weight
        )
    Endpoint.objects.filter(pk=endpoint.pk).update(updated_at=clock.now())
    revision_bump()


def _config_create(
    actor: Actor,
    name: str,
    variants: Sequence[VariantRequest],
    models: Mapping[str, Model],
    async_inference: AsyncInferenceRequest | None,
) -> EndpointConfig:
    now = clock.now()
    if async_inference is not None:
        async_check(project=actor.project, request=async_inference)
    config = EndpointConfig.objects.create(
        project=actor.project,
        name=name_with_time(name, now),
        async_inference=async_inference.to_json() if async_inference is not None else None,
        created_by=actor.user,
        created_at=now,
    )
    for variant in variants:
        ProductionVariant.objects.create(
            config=config, model=models[variant.model], **variant_columns(variant)
        )
    elastic_begin(config_id=config.pk)
    return config


def _tags_check(tags: Mapping[str, str]) -> dict[str, str]:
    errors: list[FieldError] = []
    checked = tags_check(tags, errors)
    if errors:
        raise InvalidRequest.for_fields(errors)
    return checked
