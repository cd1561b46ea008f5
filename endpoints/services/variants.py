"""Variants as asked for, and whether they can be had. Not what becomes of them (`services.endpoints`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from django.db.models import Sum
from django.utils.translation import gettext as _

from endpoints.models import Endpoint, EndpointConfig, Model, ProductionVariant
from endpoints.services.serverless import (
    ServerlessRequest,
    idle_errors,
    serverless_errors,
    serverless_limit_check,
    serverless_of,
)
from jobs.instance_types import instance_type_get, instances_in_use
from mlplatform.core.errors import FieldError, InvalidRequest, LimitExceeded
from mlplatform.core.models import Project
from mlplatform.core.names import name_check
from mlplatform.core.status import EndpointStatus

VARIANTS_MAX = 10
COUNT_MAX = 1000
WEIGHT_MAX = 1e6
DEFAULT_VARIANT = "AllTraffic"


@dataclass(frozen=True, kw_only=True)
class VariantRequest:
    """A variant as asked for: a model on so many instances, or serverless, with a share of the requests.

    With `idle_after_s` one on instances has none either after so long without a request; `instance_count` is then how
    many it has at most.
    """

    model: str
    name: str = DEFAULT_VARIANT
    instance_type: str = "local.cpu"
    instance_count: int = 1
    weight: float = 1.0
    serverless: ServerlessRequest | None = None
    idle_after_s: int | None = None


def variant_requests(config: EndpointConfig) -> list[VariantRequest]:
    """The variants of a configuration as they would be asked for; prefills the edit form."""
    return [_asked(variant) for variant in config.variants.select_related("model").order_by("pk")]


def _asked(variant: ProductionVariant) -> VariantRequest:
    common: dict[str, Any] = {"name": variant.name, "model": variant.model.name, "weight": variant.weight}
    serverless = serverless_of(variant)
    if serverless is not None:
        return VariantRequest(**common, serverless=serverless)
    return VariantRequest(
        **common,
        instance_type=variant.instance_type,
        instance_count=variant.instance_count,
        idle_after_s=variant.idle_after_s,
    )


def variant_columns(variant: VariantRequest) -> dict[str, Any]:
    """The columns of its row, but for configuration and model."""
    serverless = variant.serverless
    columns: dict[str, Any] = {"name": variant.name, "weight": variant.weight}
    if serverless is None:
        return columns | {
            "instance_type": variant.instance_type,
            "instance_count": variant.instance_count,
            "idle_after_s": variant.idle_after_s,
        }
    return columns | {
        "instance_type": "",
        "instance_count": 1,
        "serverless_memory_mb": serverless.memory_mb,
        "serverless_max_concurrency": serverless.max_concurrency,
        "idle_after_s": serverless.idle_after_s,
    }


def variants_check(*, project: Project, variants: Sequence[VariantRequest]) -> dict[str, Model]:
    """The models of the variants by name. Raises InvalidRequest with everything that is wrong."""
    if not 1 <= len(variants) <= VARIANTS_MAX:
        raise InvalidRequest.for_field(
            "variants",
            _("has %(n)d variants; give 1 to %(maximum)d") % {"n": len(variants), "maximum": VARIANTS_MAX},
        )
    names = {variant.model for variant in variants}
    models = {model.name: model for model in Model.objects.filter(project=project, name__in=names)}
    errors: list[FieldError] = []
    for position, variant in enumerate(variants):
        errors += _variant_errors(variant, f"variants.{position}", models)
    repeated = [name for name, count in Counter(variant.name for variant in variants).items() if count > 1]
    errors += [
        FieldError("variants", _("the name “%(name)s” is given twice") % {"name": name[:63]})
        for name in repeated
    ]
    if not errors and not any(variant.weight > 0 for variant in variants):
        errors.append(FieldError("variants", _("all weights are 0; at least one must be above 0")))
    errors += _disagreements(variants, models)
    if len(variants) > 1 and any(variant.serverless for variant in variants):
        said = _("has %(n)d variants; with a serverless one it may have that one alone") % {
            "n": len(variants)
        }
        errors.append(FieldError("variants", said))
    if errors:
        raise InvalidRequest.for_fields(errors)
    return models


def variant_names_check(
    *, variants: Sequence[VariantRequest], given: Mapping[str, object], field: str
) -> None:
    """Raises InvalidRequest for a name in `given` that no variant has."""
    known = [variant.name for variant in variants]
    for name in given:
        if name not in known:
            raise InvalidRequest.for_field(
                field,
                _("“%(name)s” is not a variant of this endpoint; it has %(known)s")
                % {"name": name[:63], "known": ", ".join(known)},
            )


def counts_check(*, variants: Sequence[VariantRequest], counts: Mapping[str, int]) -> None:
    """Raises InvalidRequest for the count of a serverless variant."""
    for variant in variants:
        if variant.serverless is not None and variant.name in counts:
            said = _("“%(name)s” is serverless: its model servers follow the requests") % {
                "name": variant.name
            }
            raise InvalidRequest.for_field(f"counts.{variant.name}", said)


def limits_check(
    *, project: Project, variants: Sequence[VariantRequest], besides: Endpoint | None = None
) -> None:
    """Raises LimitExceeded when the project's endpoints would have too many instances of a type.

    Holds until the transaction ends only for who has the project locked (`project_lock`).

    Args:
        besides: The endpoint whose variants these are to be; its present ones are not counted.
    """
    asked: Counter[str] = Counter()
    for variant in variants:
        if variant.serverless is None:
            asked[variant.instance_type] += variant.instance_count
    others = Endpoint.objects.filter(project=project).exclude(status=EndpointStatus.DELETING)
    if besides is not None:
        others = others.exclude(pk=besides.pk)
    if any(variant.serverless for variant in variants):
        serverless_limit_check(others)
    for name, n_asked in asked.items():
        used = ProductionVariant.objects.filter(config__in=others.values("wanted"), instance_type=name)
        n_used = used.aggregate(n=Sum("instance_count"))["n"] or 0
        limit = instance_type_get(name).limit
        if n_used + n_asked > limit:
            raise LimitExceeded(
                _(
                    "instance_type: %(limit)d instances of %(type)s may serve endpoints of a project at once; "
                    "%(used)d do and %(asked)d more were asked for"
                )
                % {"limit": limit, "type": name, "used": n_used, "asked": n_asked},
                errors=[FieldError("instance_type", instances_in_use(name, used=n_used, limit=limit))],
            )


def _variant_errors(variant: VariantRequest, where: str, models: Mapping[str, Model]) -> list[FieldError]:
    errors = list(_refusal(lambda: name_check(variant.name, field=f"{where}.name")))
    if variant.serverless is None:
        errors += _instances_errors(variant, where)
    else:
        errors += serverless_errors(variant.serverless, f"{where}.serverless")
    if variant.model not in models:
        errors.append(
            FieldError(f"{where}.model", _("there is no model “%(name)s”") % {"name": variant.model[:63]})
        )
    if not (isfinite(variant.weight) and 0 <= variant.weight <= WEIGHT_MAX):
        errors.append(
            FieldError(
                f"{where}.weight",
                _("%(value)s is not a number from 0 to %(maximum)d")
                % {"value": variant.weight, "maximum": WEIGHT_MAX},
            )
        )
    return errors


def _instances_errors(variant: VariantRequest, where: str) -> list[FieldError]:
    errors = list(_refusal(lambda: instance_type_get(variant.instance_type, field=f"{where}.instance_type")))
    if not 1 <= variant.instance_count <= COUNT_MAX:
        errors.append(
            FieldError(
                f"{where}.instance_count",
                _("%(n)s is not 1 to %(maximum)d") % {"n": variant.instance_count, "maximum": COUNT_MAX},
            )
        )
    return [*errors, *idle_errors(variant.idle_after_s, f"{where}.idle_after_s")]


def _disagreements(variants: Sequence[VariantRequest], models: Mapping[str, Model]) -> list[FieldError]:
    """A request goes to any of the variants, so each must take as many features as the first that says."""
    known = [
        (position, variant, n_features)
        for position, variant in enumerate(variants)
        if variant.model in models and (n_features := models[variant.model].manifest.get("n_features"))
    ]
    return [
        FieldError(
            f"variants.{position}.model",
            _(
                "“%(model)s” takes %(n)d features and “%(first)s” takes %(n_first)d; "
                "all variants of an endpoint must take the same number"
            )
            % {"model": variant.model, "n": n, "first": known[0][1].model, "n_first": known[0][2]},
        )
        for position, variant, n in known
        if n != known[0][2]
    ]


def _refusal(check: Callable[[], Any]) -> tuple[FieldError, ...]:
    try:
        check()
    except InvalidRequest as error:
        return error.errors
    return ()
