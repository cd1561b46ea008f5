"""Reads what has been captured: the switch and its state, files, hours, and the newest records as people read them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Sum

from endpoints.models import CapturedFile, DataCapture, Endpoint
from endpoints.selectors.endpoints import endpoint_get
from mlplatform.core.errors import NotFound
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _

ORDERS: Final = {"hour": "hour", "created": "created_at"}
HOURS_MAX: Final = 72
_TAIL_BYTES: Final = 256 * 1024
_SHOWN: Final = 4000


@dataclass(frozen=True)
class CapturedHour:
    """What was captured of a variant in an hour (UTC)."""

    hour: datetime
    variant: str
    n_records: int
    n_files: int
    size_bytes: int


@dataclass(frozen=True)
class CapturedTotal:
    """What was captured of an endpoint ever."""

    n_files: int
    n_records: int
    size_bytes: int


@dataclass(frozen=True)
class CapturedSide:
    """A request or an answer as it is shown. `text` is None where it is not text; `is_cut` where there is more."""

    content_type: str
    encoding: str
    text: str | None
    size_bytes: int
    is_cut: bool


@dataclass(frozen=True)
class CapturedRecord:
    """A captured request, decoded; a side that is not captured is None."""

    event_id: str
    inference_id: str
    at: datetime
    variant: str
    asked: CapturedSide | None
    answered: CapturedSide | None


def data_capture_of(*, endpoint: Endpoint) -> DataCapture | None:
    """None for an endpoint that never had any."""
    return DataCapture.objects.select_related("changed_by").filter(endpoint=endpoint).first()


def captured_file_list(
    *,
    actor: Actor,
    endpoint: str,
    variant: str = "",
    order: str = "-hour",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[CapturedFile]:
    """A page of an endpoint's captured files. Raises NotFound, InvalidRequest."""
    files = CapturedFile.objects.filter(endpoint=endpoint_get(actor=actor, name=endpoint))
    if variant:
        files = files.filter(variant=variant)
    return page_of(files, orders=ORDERS, order=order, limit=limit, cursor=cursor)


def captured_file_get(*, actor: Actor, endpoint: str, uid: str) -> CapturedFile:
    """Raises NotFound."""
    files = CapturedFile.objects.filter(endpoint=endpoint_get(actor=actor, name=endpoint))
    found = files.filter(uid=uid).first()
    if found is None:
        raise NotFound(_("There is no captured file {uid} of endpoint {name}", uid=uid[:40], name=endpoint))
    return found


def captured_file_chunks(*, file: CapturedFile) -> Iterator[bytes]:
    """Its content in pieces. Raises NotFound where somebody has removed the object, TransientError."""
    if object_store().size(file.uri) is None:
        raise NotFound(_("The object {uri} is no longer there", uri=file.uri))
    return object_store().chunks(file.uri)


def captured_hours(*, endpoint: Endpoint, limit: int = HOURS_MAX) -> list[CapturedHour]:
    """The newest hours in which something was captured, by variant, the newest first."""
    rows = (
        CapturedFile.objects.filter(endpoint=endpoint)
        .order_by("-hour", "variant")
        .values_list("hour", "variant")
        .annotate(n=Sum("n_records"), files=Count("pk"), size=Sum("size_bytes"))
    )
    return [CapturedHour(*row) for row in rows[:limit]]


def captured_total(*, endpoint: Endpoint) -> CapturedTotal:
    files = CapturedFile.objects.filter(endpoint=endpoint).order_by()
    counted = files.aggregate(n_files=Count("pk"), records=Sum("n_records"), size=Sum("size_bytes"))
    return CapturedTotal(counted["n_files"], counted["records"] or 0, counted["size"] or 0)


def captured_records_newest(*, endpoint: Endpoint, limit: int = 20) -> list[CapturedRecord]:
    """The newest records, decoded, the newest first: of the ends of the newest files. Raises TransientError."""
    found: list[CapturedRecord] = []
    for file in CapturedFile.objects.filter(endpoint=endpoint).order_by("-hour", "-pk")[:limit]:
        lines = _last_lines(file)
        found += [record_shown(json.loads(line), variant=file.variant) for line in reversed(lines)]
        if len(found) >= limit:
            break
    return sorted(found, key=lambda record: record.at, reverse=True)[:limit]


def record_shown(record: dict[str, Any], *, variant: str) -> CapturedRecord:
    """A record of a file as it is shown."""
    data, metadata = record["captureData"], record["eventMetadata"]
    return CapturedRecord(
        event_id=metadata["eventId"],
        inference_id=metadata.get("inferenceId", ""),
        at=datetime.fromisoformat(metadata["inferenceTime"]),
        variant=variant,
        asked=_side(data.get("endpointInput")),
        answered=_side(data.get("endpointOutput")),
    )


def _last_lines(file: CapturedFile) -> Sequence[bytes]:
    """Whole lines at the end of an object; none where somebody has removed it."""
    offset = max(0, file.size_bytes - _TAIL_BYTES)
    try:
        piece = object_store().piece(file.uri, offset=offset, size_bytes=_TAIL_BYTES)
    except NotFound:
        return []
    lines = piece.splitlines()
    return lines[1:] if offset else lines


def _side(side: dict[str, str] | None) -> CapturedSide | None:
    if side is None:
        return None
    data = side["data"].encode()
    if side["encoding"] == "BASE64":
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error:
            data = b""
    try:
        text: str | None = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and "\0" in text:
        text = None
    is_cut = text is not None and len(text) > _SHOWN
    return CapturedSide(
        content_type=side["observedContentType"],
        encoding=side["encoding"],
        text=None if text is None else text[:_SHOWN],
        size_bytes=len(data),
        is_cut=is_cut,
    )
