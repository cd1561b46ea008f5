"""Captured files: stored with their rows, and the state of capture. The uploader's doors to store and database.

Called by the gateway's thread of the uploader; given to it by `manage.py gateway`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from endpoints.capture.uploader import CapturedPart
from endpoints.models import CapturedFile, DataCapture, Endpoint
from mlplatform.core import clock
from mlplatform.core.fresh_connection import fresh_connection
from mlplatform.core.models import Project
from mlplatform.core.storage.objects import object_store, objects_bury
from mlplatform.core.text import to_json

logger = logging.getLogger(__name__)


@fresh_connection()
def captured_file_keep(part: CapturedPart) -> None:
    """Stores a file and writes its row; the same again changes nothing.

    Raises:
        TransientError: the store is away or full; a database error.
    """
    place = part.place
    project = Project.objects.filter(name=place.project).first()
    if project is None:
        logger.warning("captured records of project %s, which is no more, are given up", place.project)
        return
    object_store().put_file(part.path, part.uri)
    values: dict[str, Any] = {
        "project": project,
        "endpoint": Endpoint.objects.filter(pk=place.endpoint_id, project=project).first(),
        "endpoint_name": place.endpoint,
        "variant": place.variant,
        "hour": part.name.hour,
        "uri": part.uri,
        "n_records": part.n_records,
        "size_bytes": part.size_bytes,
        "created_at": clock.now(),
    }
    CapturedFile.objects.get_or_create(uid=part.name.uid, defaults=values)


@fresh_connection()
def capture_state_report(problem: str | None, is_paused: bool, dropped: Mapping[int, int]) -> None:
    """Writes down why records are not captured or not stored, and how many of each endpoint were lost."""
    said = None if problem is None else {"said": to_json(problem), "is_paused": is_paused}
    with transaction.atomic():
        for capture in DataCapture.objects.filter(is_on=True).only("pk", "problem"):
            if capture.problem != said:
                DataCapture.objects.filter(pk=capture.pk).update(problem=said)
        for endpoint_id, n in dropped.items():
            DataCapture.objects.filter(endpoint_id=endpoint_id).update(
                n_dropped=F("n_dropped") + n, dropped_at=clock.now()
            )


def captured_files_remove(*, before: datetime, limit: int) -> int:
    """Removes at most so many files of hours that are older, with their objects; how many."""
    with transaction.atomic():
        old = CapturedFile.objects.filter(hour__lt=before).order_by("hour", "pk")
        found = dict(old.values_list("pk", "uri")[:limit])
        objects_bury(found.values(), reason="captured file", at_once=False)
        return CapturedFile.objects.filter(pk__in=found).delete()[0]
