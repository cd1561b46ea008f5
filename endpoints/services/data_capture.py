"""Data capture as it is asked for: what of an endpoint's requests is kept, how many, where. For pages and REST."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from django.db import transaction

from endpoints.capture.rule import CSV_TYPES, JSON_TYPES
from endpoints.models import DataCapture, Endpoint
from endpoints.selectors.endpoints import endpoint_get
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest
from mlplatform.core.keeping.object_references import object_prefixes
from mlplatform.core.models import Project, Role
from mlplatform.core.names import uri, uri_split
from mlplatform.core.people.access import Actor
from mlplatform.core.revisions import revision_bump
from mlplatform.core.status import EndpointStatus
from mlplatform.core.text import text as _

FOLDER: Final = "data-capture"
TYPES_MAX: Final = 10
DESTINATION_MAX: Final = 600
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True, kw_only=True)
class CaptureRequest:
    """Data capture as asked for.

    Args:
        sampling_percent: Share of the requests, 1 to 100.
        csv_content_types, json_content_types: Media types whose bodies are kept as text; others are kept in base64.
        destination: Folder of this project's bucket; None for `s3://<bucket>/data-capture`.
    """

    is_on: bool = True
    sampling_percent: int = 100
    captures_input: bool = True
    captures_output: bool = True
    csv_content_types: Sequence[str] = CSV_TYPES
    json_content_types: Sequence[str] = JSON_TYPES
    destination: str | None = None


def capture_destination_default(project: Project) -> str:
    return uri(project.bucket, FOLDER)


def capture_request_of(endpoint: Endpoint) -> CaptureRequest:
    """What would ask for the same; for an endpoint that never had any, off with the defaults."""
    kept = DataCapture.objects.filter(endpoint=endpoint).first()
    if kept is None:
        return CaptureRequest(is_on=False)
    return CaptureRequest(is_on=kept.is_on, **asdict(kept.rule))


def data_capture_update(*, actor: Actor, endpoint: str, **changes: Any) -> DataCapture:
    """Changes what is captured; it holds for requests that arrive a moment later, and nothing is deployed anew.

    Args:
        changes: Fields of `CaptureRequest`; what is not named stays as it is.

    Raises:
        NotFound, AccessDenied.
        InvalidRequest: everything that is wrong.
        Conflict: the endpoint is being deleted.
    """
    actor.require(Role.EDITOR)
    with transaction.atomic():
        found = endpoint_get(actor=actor, name=endpoint, locked=True)
        if found.status == EndpointStatus.DELETING:
            raise Conflict(_("Endpoint “{name}” is being deleted", name=endpoint))
        return data_capture_set(
            actor=actor, endpoint=found, request=replace(capture_request_of(found), **changes)
        )


def data_capture_set(
    *, actor: Actor, endpoint: Endpoint, request: CaptureRequest, where: str = ""
) -> DataCapture:
    """Writes it down, in the caller's transaction, who has checked the actor.

    Args:
        where: What stands before the names of fields where they are part of a larger request, such as `data_capture.`.

    Raises:
        InvalidRequest: everything that is wrong.
    """
    errors = _errors(actor.project, request)
    if errors:
        raise InvalidRequest.for_fields(FieldError(f"{where}{each.field}", each.message) for each in errors)
    destination = (request.destination or capture_destination_default(actor.project)).rstrip("/")
    values: dict[str, Any] = asdict(request) | {
        "csv_content_types": _types(request.csv_content_types),
        "json_content_types": _types(request.json_content_types),
        "destination": destination,
    }
    state = {"problem": None, "changed_by": actor.user, "changed_at": clock.now()}
    kept, _made = DataCapture.objects.update_or_create(endpoint=endpoint, defaults=values | state)
    revision_bump()
    audit_record(actor=actor, action="data_capture.update", target=endpoint.name, detail=values)
    return kept


def _errors(project: Project, request: CaptureRequest) -> list[FieldError]:
    errors: list[FieldError] = []
    percent = request.sampling_percent
    if isinstance(percent, bool) or not isinstance(percent, int) or not 1 <= percent <= 100:
        said = _("{value} is not accepted; use whole numbers from 1 to 100", value=str(percent)[:40])
        errors.append(FieldError("sampling_percentage", said))
    if not (request.captures_input or request.captures_output):
        said = _("neither requests nor answers would be captured; choose at least one, or switch capture off")
        errors.append(FieldError("captures_input", said))
    for name in ("csv_content_types", "json_content_types"):
        errors += _type_errors(name, getattr(request, name))
    both = set(_types(request.csv_content_types)) & set(_types(request.json_content_types))
    if both:
        said = _("{value} is among the content types of CSV too; give it once", value=sorted(both)[0][:80])
        errors.append(FieldError("json_content_types", said))
    return errors + _destination_errors(project, request.destination)


def _type_errors(field: str, given: Sequence[str]) -> list[FieldError]:
    if len(given) > TYPES_MAX:
        said = _("has {n} content types; give {limit} at most", n=len(given), limit=TYPES_MAX)
        return [FieldError(field, said)]
    wrong = [name for name in _types(given) if not _TYPE.fullmatch(name)]
    return [
        FieldError(field, _("{value} is not a content type; give such as text/csv", value=repr(name[:80])))
        for name in wrong
    ]


def _types(given: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.strip().lower() for name in given))


def _destination_errors(project: Project, destination: str | None) -> list[FieldError]:
    """Never a folder of the platform's own objects: whatever nobody refers to there is cleared away."""
    if destination is None:
        return []
    try:
        bucket, key = uri_split(destination, field="destination")
    except InvalidRequest as error:
        return list(error.errors)
    if len(destination) > DESTINATION_MAX:
        said = _("has {n} characters; use at most {limit}", n=len(destination), limit=DESTINATION_MAX)
    elif bucket != project.bucket:
        said = _(
            "bucket {bucket} is not this project's; use s3://{own}/…", bucket=repr(bucket), own=project.bucket
        )
    elif key.split("/")[0] in object_prefixes():
        said = _("“{folder}” is a folder of the platform's own; use another", folder=key.split("/")[0])
    else:
        return []
    return [FieldError("destination", said)]
