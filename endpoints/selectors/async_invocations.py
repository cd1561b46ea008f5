"""Reads asynchronous requests: how many wait, a page of them, one of them, and what came of it.

Every function sees only the actor's project.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count

from endpoints.models import AsyncInvocation, Endpoint
from endpoints.selectors.endpoints import endpoint_get
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from mlplatform.core.nodes import queues_served
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import AsyncInvocationStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _

QUEUE: Final = "cpu"
ORDERS: Final = {"created": "created_at"}
_FIELDS: Final = ("endpoint", "endpoint__project")


@dataclass(frozen=True)
class AsyncQueue:
    """How many requests of an endpoint there are; `oldest_at` is when the one that waits longest came."""

    n_pending: int
    n_in_progress: int
    n_completed: int
    n_failed: int
    oldest_at: datetime | None


def async_queue(*, endpoint: Endpoint) -> AsyncQueue:
    """The queue of an endpoint."""
    rows = AsyncInvocation.objects.filter(endpoint=endpoint).order_by()
    counts = dict(rows.values_list("status").annotate(n=Count("pk")))
    n_pending = counts.get(AsyncInvocationStatus.PENDING, 0)
    waiting = rows.filter(status=AsyncInvocationStatus.PENDING).order_by("pk")
    return AsyncQueue(
        n_pending=n_pending,
        n_in_progress=counts.get(AsyncInvocationStatus.IN_PROGRESS, 0),
        n_completed=counts.get(AsyncInvocationStatus.COMPLETED, 0),
        n_failed=counts.get(AsyncInvocationStatus.FAILED, 0),
        oldest_at=waiting.values_list("created_at", flat=True).first() if n_pending else None,
    )


def async_waiting_reason(*, waiting: AsyncQueue) -> str | None:
    """Why nothing is taken from the queue although requests wait; None where something is, or it is normal."""
    if waiting.n_pending and not waiting.n_in_progress and QUEUE not in queues_served():
        return _(
            "No worker serves the queue “{queue}”. Requests are answered when one is started: "
            ".venv/bin/python manage.py worker --queues {queue}",
            queue=QUEUE,
        )
    return None


def async_invocation_list(
    *,
    actor: Actor,
    endpoint: str,
    status: str = "",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[AsyncInvocation]:
    """A page of an endpoint's requests, the newest first. Raises NotFound, InvalidRequest."""
    found = endpoint_get(actor=actor, name=endpoint)
    rows = AsyncInvocation.objects.filter(endpoint=found)
    if status:
        rows = rows.filter(status=_status(status))
    return page_of(
        rows,
        orders=ORDERS,
        order="-created",
        limit=limit,
        cursor=cursor,
        load=lambda found: found.select_related(*_FIELDS),
    )


def async_invocations_newest(*, endpoint: Endpoint, limit: int = 20) -> list[AsyncInvocation]:
    """The newest requests of an endpoint."""
    return list(AsyncInvocation.objects.filter(endpoint=endpoint).order_by("-created_at", "-pk")[:limit])


def async_invocation_get(*, actor: Actor, endpoint: str, inference_id: str) -> AsyncInvocation:
    """One request. Raises NotFound."""
    found = endpoint_get(actor=actor, name=endpoint)
    row = (
        AsyncInvocation.objects.filter(endpoint=found, inference_id=inference_id[:64])
        .select_related(*_FIELDS)
        .first()
    )
    if row is None:
        raise NotFound(_("There is no asynchronous request {name}", name=repr(inference_id[:64])))
    return row


def async_output_chunks(*, invocation: AsyncInvocation) -> Iterator[bytes]:
    """The result, or the failure object of a request that failed, piece by piece.

    Raises:
        Conflict: it has not ended.
        NotFound: the object has been removed since.
    """
    if invocation.status == AsyncInvocationStatus.COMPLETED:
        address = invocation.output_uri
    elif invocation.status == AsyncInvocationStatus.FAILED:
        address = invocation.failure_uri
    else:
        raise Conflict(
            _(
                "Request {name} is {status}; it has no result yet",
                name=repr(invocation.inference_id),
                status=str(invocation.status),
            )
        )
    if object_store().size(address) is None:
        raise NotFound(_("There is no object {uri}", uri=address))
    return object_store().chunks(address)


def _status(status: str) -> Any:
    accepted = [each.value for each in AsyncInvocationStatus]
    if status not in accepted:
        message = _(
            "{value} is not a status; use {values}", value=repr(status[:40]), values=", ".join(accepted)
        )
        raise InvalidRequest.for_fields([FieldError("status", message)])
    return status
