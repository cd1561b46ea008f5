"""Resumable uploads as JSON and as the headers of the protocol."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from mlplatform.api.presenters.instants import instant
from mlplatform.api.serializers.uploads import EXPIRES, LENGTH, OFFSET
from mlplatform.core.uploads.file import UploadFile
from mlplatform.core.uploads.services import expires_at


def upload_json(upload: UploadFile) -> dict[str, Any]:
    return {
        "id": upload.uid,
        "filename": upload.announced.filename,
        "length_bytes": upload.announced.length,
        "offset_bytes": upload.offset,
        "created_at": instant(datetime.fromtimestamp(upload.announced.created_at, UTC)),
        "expires_at": instant(_expires(upload)),
    }


def upload_headers(upload: UploadFile) -> dict[str, str]:
    return {
        OFFSET: str(upload.offset),
        LENGTH: str(upload.announced.length),
        EXPIRES: format_datetime(_expires(upload), usegmt=True),
    }


def _expires(upload: UploadFile) -> datetime:
    return datetime.fromtimestamp(expires_at(upload), UTC)
