"""Creates, changes and deletes endpoints. What is asked for is written down here; hosts make it so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from django.db import IntegrityError, transaction
from django.db.models import Sum

from endpoints.models import Endpoint, EndpointConfig, Model, ProductionVariant
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.invocations import InvokeResult, endpoint_invoke
from endpoints.services.rollout import rollout_step
from jobs.instance_types import instance_type_get
from jobs.services.request_checks import tags_check
from mlplatform.core import clock
from mlplatform.core.access import Actor
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, LimitExceeded
from mlplatform.core.models import Project, Role
from mlplatform.core.names import name_check, name_with_time, uid_new
from mlplatform.core.revisions import revision_bump
from mlplatform.core.status import EndpointStatus

__all__ = [
    "InvokeResult",
    "VariantRequest",
    "endpoint_create",
    "endpoint_delete",
    "endpoint_invoke",
    "endpoint_update",
    "endpoint_update_weights",
    "variant_requests",
]

VARIANTS_MAX = 10
DEFAULT_VARIANT = "AllTraffic"
_AT_REST = frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.FAILED})


@dataclass(frozen=True, kw_only=True)
class VariantRequest:
    """A variant as asked for: a model on so many instances with a share of the requests."""

    model: str
    name: str = DEFAULT_VARIANT
    instance_type: str = "local.cpu"
    instance_count: int = 1
    weight: float = 1.0


def endpoint_create(
    *,
    actor: Actor,
    name: str,
    variants: Sequence[VariantRequest],
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> Endpoint:
    """Asks for a new endpoint; it is Creating until its replicas answer.

    Raises:
        InvalidRequest: a field that cannot be used.
        LimitExceeded: more instances of a type than the project may use.
        Conflict: the name is taken.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    name_check(name)
    models = _variants_check(actor, variants)
    checked_tags = _tags_check(tags or {})
    now = clock.now()
    taken = Conflict(f"An endpoint named {name!r} already exists in project {actor.project.name}")
    if Endpoint.objects.filter(project=actor.project, name=name).exists():
        raise taken
    try:
        with transaction.atomic():
            _limits_check(actor.project, variants)
            endpoint = Endpoint.objects.create(
                project=actor.project,
                name=name,
                uid=uid_new(),
                description=description[:2000],
                wanted=_config_create(actor, name, variants, models),
                tags=checked_tags,
                created_by=actor.user,
                created_at=now,
                updated_at=now,
            )
            rollout_step(endpoint_id=endpoint.pk)
    except IntegrityError:
        raise taken from None
    return endpoint


def endpoint_update(*, actor: Actor, name: str, variants: Sequence[VariantRequest]) -> Endpoint:
    """Asks for other variants. The old ones answer until the new ones are ready; if those fail, all stays as it was.

    Raises:
        NotFound, InvalidRequest, LimitExceeded, AccessDenied.
        Conflict: the endpoint is being changed already.
    """
    actor.require(Role.EDITOR)
    models = _variants_check(actor, variants)
    with transaction.atomic():
        endpoint = _at_rest(actor, name)
        _limits_check(actor.project, variants, besides=endpoint)
        _update_to(endpoint, _config_create(actor, name, variants, models))
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
        endpoint = _at_rest(actor, name)
        now_asked = variant_requests(endpoint.wanted)
        _names_check(now_asked, weights, "weights")
        _names_check(now_asked, counts, "counts")
        variants = [
            replace(
                variant,
                weight=weights.get(variant.name, variant.weight),
                instance_count=counts.get(variant.name, variant.instance_count),
            )
            for variant in now_asked
        ]
        models = _variants_check(actor, variants)
        if [v.instance_count for v in variants] == [v.instance_count for v in now_asked]:
            _weights_set(endpoint, variants)
        else:
            _limits_check(actor.project, variants, besides=endpoint)
            _update_to(endpoint, _config_create(actor, name, variants, models))
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
            Endpoint.objects.filter(pk=endpoint.pk).update(
                status=EndpointStatus.DELETING, updated_at=clock.now()
            )
            revision_bump()
        rollout_step(endpoint_id=endpoint.pk)


def variant_requests(config: EndpointConfig) -> list[VariantRequest]:
    """The variants of a configuration as they would be asked for; prefills the edit form."""
    return [
        VariantRequest(
            name=variant.name,
            model=variant.model.name,
            instance_type=variant.instance_type,
            instance_count=variant.instance_count,
            weight=variant.weight,
        )
        for variant in config.variants.select_related("model").order_by("pk")
    ]


def _at_rest(actor: Actor, name: str) -> Endpoint:
    endpoint = endpoint_get(actor=actor, name=name, locked=True)
    if endpoint.status not in _AT_REST:
        accepted = " or ".join(sorted(_AT_REST))
        raise Conflict(f"Endpoint {name!r} is {endpoint.status}; it can be changed when it is {accepted}")
    return endpoint


def _update_to(endpoint: Endpoint, config: EndpointConfig) -> None:
    abandoned = endpoint.wanted
    endpoint.wanted = config
    endpoint.status = EndpointStatus.UPDATING
    endpoint.failure = None
    endpoint.updated_at = clock.now()
    endpoint.save(update_fields=["wanted", "status", "failure", "updated_at"])
    if endpoint.live_id is None and not abandoned.variants.filter(replicas__isnull=False).exists():
        abandoned.delete()
    revision_bump()
    rollout_step(endpoint_id=endpoint.pk)


def _weights_set(endpoint: Endpoint, variants: Sequence[VariantRequest]) -> None:
    for variant in variants:
        ProductionVariant.objects.filter(config=endpoint.wanted, name=variant.name).update(weight=variant.weight)
    Endpoint.objects.filter(pk=endpoint.pk).update(updated_at=clock.now())
    revision_bump()


def _config_create(
    actor: Actor, name: str, variants: Sequence[VariantRequest], models: Mapping[str, Model]
) -> EndpointConfig:
    now = clock.now()
    config = EndpointConfig.objects.create(
        project=actor.project, name=name_with_time(name, now), created_by=actor.user, created_at=now
    )
    for variant in variants:
        ProductionVariant.objects.create(
            config=config,
            name=variant.name,
            model=models[variant.model],
            instance_type=variant.instance_type,
            instance_count=variant.instance_count,
            weight=variant.weight,
        )
    return config


def _tags_check(tags: Mapping[str, str]) -> dict[str, str]:
    errors: list[FieldError] = []
    checked = tags_check(tags, errors)
    if errors:
        raise InvalidRequest.for_fields(errors)
    return checked


def _variants_check(actor: Actor, variants: Sequence[VariantRequest]) -> dict[str, Model]:
    """The models of the variants by name. Raises InvalidRequest with everything that is wrong."""
    if not 1 <= len(variants) <= VARIANTS_MAX:
        raise InvalidRequest.for_field("variants", f"has {len(variants)} variants; give 1 to {VARIANTS_MAX}")
    names = {variant.model for variant in variants}
    models = {model.name: model for model in Model.objects.filter(project=actor.project, name__in=names)}
    errors: list[FieldError] = []
    for position, variant in enumerate(variants):
        errors += _variant_errors(variant, f"variants.{position}", models)
    repeated = [name for name, count in Counter(variant.name for variant in variants).items() if count > 1]
    errors += [FieldError("variants", f"the name {name[:63]!r} is given twice") for name in repeated]
    if not errors and not any(variant.weight > 0 for variant in variants):
        errors.append(FieldError("variants", "all weights are 0; at least one must be above 0"))
    if errors:
        raise InvalidRequest.for_fields(errors)
    return models


def _variant_errors(variant: VariantRequest, where: str, models: Mapping[str, Model]) -> list[FieldError]:
    errors: list[FieldError] = []
    for check in (
        lambda: name_check(variant.name, field=f"{where}.name"),
        lambda: instance_type_get(variant.instance_type, field=f"{where}.instance_type"),
    ):
        try:
            check()
        except InvalidRequest as error:
            errors += error.errors
    if variant.model not in models:
        errors.append(FieldError(f"{where}.model", f"there is no model {variant.model[:63]!r}"))
    if not 1 <= variant.instance_count <= 1000:
        errors.append(FieldError(f"{where}.instance_count", f"{variant.instance_count} is not 1 to 1000"))
    if not (isfinite(variant.weight) and 0 <= variant.weight <= 1e6):
        errors.append(FieldError(f"{where}.weight", f"{variant.weight} is not a number from 0 to 1000000"))
    return errors


def _names_check(variants: Sequence[VariantRequest], given: Mapping[str, object], field: str) -> None:
    known = [variant.name for variant in variants]
    for name in given:
        if name not in known:
            raise InvalidRequest.for_field(
                field, f"{name[:63]!r} is not a variant of this endpoint; it has {', '.join(known)}"
            )


def _limits_check(
    project: Project, variants: Sequence[VariantRequest], *, besides: Endpoint | None = None
) -> None:
    asked: Counter[str] = Counter()
    for variant in variants:
        asked[variant.instance_type] += variant.instance_count
    others = Endpoint.objects.filter(project=project).exclude(status=EndpointStatus.DELETING)
    if besides is not None:
        others = others.exclude(pk=besides.pk)
    for name, n_asked in asked.items():
        used = ProductionVariant.objects.filter(config__in=others.values("wanted"), instance_type=name)
        n_used = used.aggregate(n=Sum("instance_count"))["n"] or 0
        limit = instance_type_get(name).limit
        if n_used + n_asked > limit:
            raise LimitExceeded(
                f"instance_type: {limit} instances of {name} may serve endpoints of a project at once; "
                f"{n_used} do and {n_asked} more were asked for"
            )
