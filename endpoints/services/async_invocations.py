"""Asynchronous requests: taken in, and ended when their endpoint is. The row is the queue.

Carried out by a worker (`endpoints.services.async_drain`). Called by pages and REST.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from endpoints.async_limits import BODY_BYTES_MAX
from endpoints.models import AsyncInvocation, Endpoint
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.async_config import TIMEOUT_DEFAULT_S, TIMEOUT_MAX_S, is_async
from jobs.services.dataset_staging import Readable
from mlplatform.core import clock
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, TooLarge, TransientError
from mlplatform.core.keeping.disk_room import disk_room_check
from mlplatform.core.keeping.object_references import object_is_ours
from mlplatform.core.names import uid_new, uri, uri_split
from mlplatform.core.people.access import Actor
from mlplatform.core.status import AsyncInvocationStatus, EndpointStatus
from mlplatform.core.storage.faults import DATA_DIR, storage_told
from mlplatform.core.storage.objects import object_store, objects_bury, objects_take_back
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)
TASK: Final = "endpoints.async_drain"
QUEUE: Final = "cpu"
CHUNK_BYTES: Final = 1024 * 1024
ENDED_AT_ONCE: Final = 50
_TAKES: Final = frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK})
_INFERENCE_ID: Final = re.compile(r"[A-Za-z0-9_.:@=+~-]{1,64}")


def async_invocation_create(
    *,
    actor: Actor,
    endpoint: str,
    body: Readable | None = None,
    input_uri: str | None = None,
    content_type: str = "text/csv",
    accept: str = "",
    inference_id: str | None = None,
    custom_attributes: str = "",
    variant: str = "",
    timeout_s: int = TIMEOUT_DEFAULT_S,
) -> AsyncInvocation:
    """Takes a request in; it is answered by an object, later.

    Args:
        body: The request itself, read in pieces and kept as an object; or
        input_uri: an object of this project that has it.
        inference_id: The caller's own name for it, unique among those of the endpoint; None for one that is made.
        variant: Which is to answer; empty for whichever the gateway chooses.
        timeout_s: What the model may take.

    Raises:
        NotFound: no such endpoint.
        Conflict: the endpoint does not answer now, or the inference id is taken.
        InvalidRequest: it is not asynchronous, or a field is wrong.
        TooLarge: more than an endpoint takes.
    """
    found = endpoint_get(actor=actor, name=endpoint)
    _check(actor, found, body, input_uri, inference_id, variant, timeout_s)
    uid = uid_new()
    bucket = actor.project.bucket
    own = uri(bucket, f"async-inference/{uid}/")
    if input_uri:
        address, n_bytes = input_uri, _size(input_uri)
    else:
        assert body is not None
        address = f"{own}input"
        n_bytes = _keep_body(body, address)
    kept = (found.live or found.wanted).async_inference or {}
    row = AsyncInvocation(
        endpoint=found,
        uid=uid,
        inference_id=inference_id or uid,
        input_uri=address,
        input_bytes=n_bytes,
        content_type=_header(content_type, 256),
        accept=_header(accept, 256),
        custom_attributes=_header(custom_attributes, 1024),
        target_variant=variant,
        timeout_s=timeout_s,
        output_uri=_below(kept.get("output_uri"), f"{uid}.out") or f"{own}output",
        failure_uri=_below(kept.get("failure_uri"), f"{uid}-error.out") or f"{own}failure",
        created_by=actor.user,
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            dispatch_after_commit(TASK, object_id=found.pk, queue=QUEUE)
    except BaseException as error:
        if not input_uri:
            objects_take_back([address])
        if isinstance(error, IntegrityError):
            raise _taken(found, inference_id or uid) from None
        raise
    return row


def failure_write(*, address: str, status: int, code: str, message: str) -> dict[str, Any]:
    """Stores the failure object; what the row says of it too. Raises TransientError."""
    failure = {"status": status, "code": code, "message": str(message)[:2000]}
    object_store().put_bytes(json.dumps(failure, ensure_ascii=False).encode(), address)
    return failure


def async_invocation_fail(*, row: AsyncInvocation, status: int, code: str, message: str, **held: Any) -> bool:
    """Ends a request with a failure object, written before the row says so.

    Args:
        held: What the row must still have, such as its lease.

    Raises:
        TransientError: the store is away.
    """
    failure = failure_write(address=row.failure_uri, status=status, code=code, message=message)
    rows = AsyncInvocation.objects.filter(pk=row.pk, **held)
    values: dict[str, Any] = {"failure": failure, "ended_at": clock.now()}
    values |= {"lease_owner": "", "lease_expires_at": None}
    return bool(status_update(rows, to=AsyncInvocationStatus.FAILED, **values))


def async_invocations_end(*, endpoint: Endpoint, limit: int = ENDED_AT_ONCE) -> bool:
    """Fails what waits of an endpoint that is deleted, `limit` of it: a host that does this has replicas to look after.

    Returns:
        Whether no more waits; True also when the store is away, so that failure objects cannot be written.
    """
    waiting = AsyncInvocation.objects.filter(endpoint=endpoint, status=AsyncInvocationStatus.PENDING)
    said = _("Endpoint {name} was deleted before this request was answered", name=endpoint.name)
    for row in waiting.order_by("pk")[:limit]:
        try:
            async_invocation_fail(row=row, status=404, code="ResourceNotFound", message=said)
        except TransientError as error:
            logger.warning("endpoint %s: no failure objects can be written: %s", endpoint.name, error.message)
            return True
    return not waiting.exists()


def async_invocations_remove(*, rows: Iterable[AsyncInvocation]) -> int:
    """Removes ended requests with those of their objects that are the platform's own, in the caller's transaction."""
    found = list(rows)
    addresses = [address for row in found for address in (row.input_uri, row.output_uri, row.failure_uri)]
    n_removed = AsyncInvocation.objects.filter(pk__in=[row.pk for row in found]).delete()[0]
    objects_bury([address for address in addresses if object_is_ours(address)], reason="asynchronous request")
    return n_removed


def _check(
    actor: Actor,
    endpoint: Endpoint,
    body: Readable | None,
    input_uri: str | None,
    inference_id: str | None,
    variant: str,
    timeout_s: int,
) -> None:
    if not is_async(endpoint):
        said = _(
            "endpoint {name} is not asynchronous; send the request to …/invocations/, or update the endpoint with "
            "async_inference",
            name=repr(endpoint.name),
        )
        raise InvalidRequest.for_field("endpoint", said)
    errors: list[FieldError] = []
    if (body is None) == (not input_uri):
        errors.append(FieldError("input_uri", _("give either a body or the address of an object")))
    elif input_uri:
        errors += _input_errors(actor, input_uri)
    if inference_id is not None and not _INFERENCE_ID.fullmatch(inference_id):
        errors.append(
            FieldError("inference_id", _("is not accepted; use 1 to 64 letters, digits and any of _.:@=+~-"))
        )
    if isinstance(timeout_s, bool) or not 1 <= timeout_s <= TIMEOUT_MAX_S:
        said = _(
            "{value} is not accepted; use whole seconds from 1 to {limit}",
            value=str(timeout_s)[:40],
            limit=f"{TIMEOUT_MAX_S:,}",
        )
        errors.append(FieldError("timeout_s", said))
    names = [each.name for each in (endpoint.live or endpoint.wanted).variants.all()]
    if variant and variant not in names:
        said = _(
            "“{name}” is not a variant of this endpoint; it has {known}",
            name=variant[:63],
            known=", ".join(names),
        )
        errors.append(FieldError("variant", said))
    if errors:
        raise InvalidRequest.for_fields(errors)
    if endpoint.status not in _TAKES or endpoint.live is None:
        raise Conflict(
            _(
                "Endpoint “{name}” is {status}; it must be InService",
                name=endpoint.name,
                status=endpoint.status,
            )
        )
    if inference_id and AsyncInvocation.objects.filter(endpoint=endpoint, inference_id=inference_id).exists():
        raise _taken(endpoint, inference_id)


def _input_errors(actor: Actor, input_uri: str) -> list[FieldError]:
    try:
        bucket, _key = uri_split(input_uri, field="input_uri")
    except InvalidRequest as error:
        return list(error.errors)
    if len(input_uri) > 1024:
        return [
            FieldError(
                "input_uri", _("has {n} characters; use at most {limit}", n=len(input_uri), limit=1024)
            )
        ]
    size = object_store().size(input_uri) if bucket == actor.project.bucket else None
    if size is None:
        said = _(
            "there is no object {uri}; objects of this project lie in s3://{bucket}/",
            uri=input_uri[:200],
            bucket=actor.project.bucket,
        )
        return [FieldError("input_uri", said)]
    if size > BODY_BYTES_MAX:
        raise _too_large(size)
    return []


def _size(address: str) -> int:
    return object_store().size(address) or 0


def _keep_body(body: Readable, address: str) -> int:
    """Stores the body, read in pieces; its size. Raises TooLarge, InvalidRequest for an empty one, TransientError."""
    disk_room_check()
    with tempfile.NamedTemporaryFile(
        prefix="request-", dir=settings.FILE_UPLOAD_TEMP_DIR, delete=False
    ) as file:
        path = Path(file.name)
        try:
            n_bytes = 0
            with storage_told(DATA_DIR):
                while piece := body.read(CHUNK_BYTES):
                    n_bytes += len(piece)
                    if n_bytes > BODY_BYTES_MAX:
                        raise _too_large(n_bytes)
                    file.write(piece)
                file.flush()
            if not n_bytes:
                raise InvalidRequest.for_field("body", _("is empty; send the request, or name an object"))
            object_store().put_file(path, address, move=True)
            return n_bytes
        finally:
            path.unlink(missing_ok=True)


def _too_large(n_bytes: int) -> TooLarge:
    limit = f"{BODY_BYTES_MAX:,}"
    return TooLarge(
        _(
            "The request has more than {limit} bytes, the most that an asynchronous endpoint takes",
            limit=limit,
        )
    )


def _below(folder: Any, name: str) -> str:
    return f"{str(folder).rstrip('/')}/{name}" if folder else ""


def _header(value: str, longest: int) -> str:
    """A caller's header value without what would end it."""
    return "".join(letter for letter in value if letter.isprintable() and letter.isascii())[:longest]


def _taken(endpoint: Endpoint, inference_id: str) -> Conflict:
    said = _(
        "A request with the inference id {name} was sent to endpoint {endpoint} already",
        name=repr(inference_id),
        endpoint=endpoint.name,
    )
    return Conflict(said, errors=[FieldError("inference_id", said)])
