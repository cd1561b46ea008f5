"""An endpoint without any process, model or traffic, and what was captured of it."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User

from endpoints.models import CapturedFile, Endpoint, EndpointConfig
from mlplatform.core import clock
from mlplatform.core.models import Project
from mlplatform.core.names import uid_new
from mlplatform.core.names import uri as uri_of
from mlplatform.core.storage.objects import object_store


def endpoint_bare(user: User, project: Project, name: str = "iris") -> Endpoint:
    now = clock.now()
    made = {"project": project, "created_by": user, "created_at": now}
    config = EndpointConfig.objects.create(name=f"{name}-config", **made)
    return Endpoint.objects.create(
        name=name, uid=uid_new(), status="InService", wanted=config, live=config, updated_at=now, **made
    )


def record(data: str, *, encoding: str = "CSV", inference_id: str = "order-1") -> str:
    """A line of a captured file."""
    asked = {"observedContentType": "text/csv", "mode": "INPUT", "data": data, "encoding": encoding}
    answered = asked | {"mode": "OUTPUT", "data": "MA==", "encoding": "BASE64"}
    metadata: dict[str, Any] = {
        "eventId": str(uuid4()),
        "inferenceId": inference_id,
        "inferenceTime": "2026-02-14T17:25:06Z",
    }
    data_captured = {"endpointInput": asked, "endpointOutput": answered}
    line = {"captureData": data_captured, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(line) + "\n"


def captured_file(endpoint: Endpoint, content: str, *, variant: str = "AllTraffic") -> CapturedFile:
    """A stored file of the hour that goes on."""
    now = clock.now()
    uid = str(uuid4())
    key = f"data-capture/{endpoint.name}/{variant}/{now:%Y/%m/%d/%H}/25-06-250-{uid}.jsonl"
    stored = object_store().put_bytes(content.encode(), uri_of(endpoint.project.bucket, key))
    return CapturedFile.objects.create(
        project=endpoint.project,
        endpoint=endpoint,
        endpoint_name=endpoint.name,
        variant=variant,
        uid=uid,
        hour=now.replace(minute=0, second=0, microsecond=0),
        uri=stored.uri,
        n_records=content.count("\n"),
        size_bytes=stored.size_bytes,
        created_at=now,
    )
