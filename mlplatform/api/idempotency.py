"""`Idempotency-Key`: a repeated POST gets the first one's answer and does nothing.

The key is claimed by inserting its row before anything is done, so of two simultaneous requests one acts and
the other is told to come back. A request that fails gives its key back. Answers are kept for a day.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response

from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest, PlatformError
from mlplatform.core.models import IdempotentRequest
from mlplatform.core.people.access import Actor

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=30)
"""After this long without an answer, the process that held the key is taken to have died."""
_LEGAL = re.compile(r"[\x21-\x7e]{1,128}\Z")


class StillRunning(PlatformError):
    """The first request with this key has not been answered yet."""

    code = "IdempotentRequestInProgress"
    http_status = 409
    retry_after_s = 1


class KeyReused(PlatformError):
    """The key belongs to a request with another body."""

    code = "IdempotentParameterMismatch"
    http_status = 422


def answer_once(
    *, request: Request, actor: Actor, create: Callable[[], Mapping[str, Any]], hide: Sequence[str] = ()
) -> Response:
    """201 with what `create` returns, or the remembered answer of an earlier request with the same key.

    Args:
        hide: Fields of the answer that are not remembered (secrets); a repeated request gets null for them.

    Raises:
        InvalidRequest: the key has illegal characters.
        StillRunning, KeyReused: see there.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return Response(create(), status=201)
    if not _LEGAL.match(key):
        raise InvalidRequest.for_field(HEADER, "use 1 to 128 printable ASCII characters without spaces")
    claimed = _claim(actor, key, _fingerprint(request))
    if claimed.response is not None:
        return Response(claimed.response, status=claimed.response_status, headers={REPLAYED: "true"})
    try:
        body = json.loads(json.dumps(dict(create()), default=str))
    except BaseException:
        IdempotentRequest.objects.filter(pk=claimed.pk).delete()
        raise
    kept = {name: None if name in hide else value for name, value in body.items()}
    IdempotentRequest.objects.filter(pk=claimed.pk).update(response=kept, response_status=201)
    return Response(body, status=201)


def _claim(actor: Actor, key: str, fingerprint: str) -> IdempotentRequest:
    """A row of ours to act under, or the answered row of the first request."""
    now = clock.now()
    IdempotentRequest.objects.filter(created_at__lt=now - KEPT).delete()
    try:
        with transaction.atomic():
            return IdempotentRequest.objects.create(
                project=actor.project, user_id=actor.user.pk, key=key, request_sha256=fingerprint
            )
    except IntegrityError:
        known = IdempotentRequest.objects.filter(project=actor.project, user_id=actor.user.pk, key=key)
    first = known.first()
    if first is None:
        raise StillRunning(f"{HEADER}: the first request with this key has just ended; send it again")
    if first.request_sha256 != fingerprint:
        raise KeyReused(f"{HEADER}: {key!r} was used for another request; use a new key for each request")
    if first.response is not None:
        return first
    if known.filter(created_at__lt=now - ABANDONED, response=None).update(created_at=now):
        return first
    raise StillRunning(f"{HEADER}: the first request with this key is still being carried out")


def _fingerprint(request: Request) -> str:
    """A digest of method, path and the parsed body, files included."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\0".encode())
    data: Any = request.data
    fields = (
        data.lists() if hasattr(data, "lists") else data.items() if isinstance(data, dict) else [("", data)]
    )
    for name, value in sorted(fields, key=lambda field: str(field[0])):
        values = value if isinstance(value, list) else [value]
        for item in values:
            digest.update(f"{name}\0".encode())
            digest.update(_file_digest(item) if isinstance(item, UploadedFile) else _text(item))
    return digest.hexdigest()


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def _file_digest(file: UploadedFile[Any]) -> bytes:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return f"{file.name}\0{digest.hexdigest()}".encode()
