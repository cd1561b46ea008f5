"""Serverless variants as asked for, idle times, and whether they can be had. Part of `services.variants`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from endpoints.elastic import (
    CONCURRENCY_MAX,
    IDLE_AFTER_S,
    IDLE_LEAST_S,
    IDLE_MOST_S,
    MEMORY_STEPS_MB,
)
from endpoints.models import Endpoint, ProductionVariant
from mlplatform.core.errors import FieldError, LimitExceeded

SERVERLESS_ENDPOINTS_MAX = 50
"""Of a project at once, as in the managed service."""


@dataclass(frozen=True, kw_only=True)
class ServerlessRequest:
    """Memory of each model server and requests at once, in the place of instance type and count."""

    memory_mb: int
    max_concurrency: int
    idle_after_s: int = IDLE_AFTER_S


def serverless_of(variant: ProductionVariant) -> ServerlessRequest | None:
    """What was asked for; None for a variant on instances."""
    if variant.serverless_memory_mb is None:
        return None
    return ServerlessRequest(
        memory_mb=variant.serverless_memory_mb,
        max_concurrency=variant.serverless_max_concurrency or 1,
        idle_after_s=variant.idle_after_s or IDLE_AFTER_S,
    )


def serverless_errors(serverless: ServerlessRequest, where: str) -> list[FieldError]:
    """What is wrong with it, by field below `where`."""
    errors = idle_errors(serverless.idle_after_s, f"{where}.idle_after_s")
    if serverless.memory_mb not in MEMORY_STEPS_MB:
        steps = ", ".join(map(str, MEMORY_STEPS_MB))
        said = _("%(n)s is not one of %(steps)s") % {"n": serverless.memory_mb, "steps": steps}
        errors.append(FieldError(f"{where}.memory_mb", said))
    if not 1 <= serverless.max_concurrency <= CONCURRENCY_MAX:
        said = _("%(n)s is not 1 to %(maximum)d") % {
            "n": serverless.max_concurrency,
            "maximum": CONCURRENCY_MAX,
        }
        errors.append(FieldError(f"{where}.max_concurrency", said))
    return errors


def idle_errors(idle_after_s: int | None, field: str) -> list[FieldError]:
    if idle_after_s is None or IDLE_LEAST_S <= idle_after_s <= IDLE_MOST_S:
        return []
    said = _("%(n)s is not %(least)d to %(most)d seconds") % {
        "n": idle_after_s,
        "least": IDLE_LEAST_S,
        "most": IDLE_MOST_S,
    }
    return [FieldError(field, said)]


def serverless_limit_check(others: QuerySet[Endpoint]) -> None:
    """Raises LimitExceeded when `others`, the project's other endpoints, have as many serverless ones as may be."""
    n_used = others.filter(wanted__variants__serverless_memory_mb__isnull=False).distinct().count()
    if n_used >= SERVERLESS_ENDPOINTS_MAX:
        said = _("%(used)d of %(limit)d serverless endpoints of the project are in use") % {
            "used": n_used,
            "limit": SERVERLESS_ENDPOINTS_MAX,
        }
        raise LimitExceeded(said, errors=[FieldError("variants.0.serverless", said)])
