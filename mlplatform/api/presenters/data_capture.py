"""Data capture as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.models import CapturedFile, DataCapture, Endpoint
from endpoints.services.data_capture import CaptureRequest, capture_destination_default
from mlplatform.api.presenters.instants import instant
from mlplatform.core.translation import translated


def data_capture_json(endpoint: Endpoint, capture: DataCapture | None) -> dict[str, Any]:
    """Of an endpoint that never had any: not enabled, with the defaults that it would get."""
    if capture is None:
        unasked = CaptureRequest(is_on=False)
        return {
            "enabled": False,
            "capture_status": "Stopped",
            "sampling_percentage": unasked.sampling_percent,
            "captures_input": unasked.captures_input,
            "captures_output": unasked.captures_output,
            "csv_content_types": list(unasked.csv_content_types),
            "json_content_types": list(unasked.json_content_types),
            "destination": capture_destination_default(endpoint.project),
            "problem": None,
            "n_dropped": 0,
            "dropped_at": None,
            "changed_by": None,
            "changed_at": None,
        }
    return {
        "enabled": capture.is_on,
        "capture_status": capture.status,
        "sampling_percentage": capture.sampling_percent,
        "captures_input": capture.captures_input,
        "captures_output": capture.captures_output,
        "csv_content_types": capture.csv_content_types,
        "json_content_types": capture.json_content_types,
        "destination": capture.destination,
        "problem": translated(capture.problem_words) or None,
        "n_dropped": capture.n_dropped,
        "dropped_at": instant(capture.dropped_at),
        "changed_by": capture.changed_by.get_username(),
        "changed_at": instant(capture.changed_at),
    }


def captured_file_json(file: CapturedFile) -> dict[str, Any]:
    return {
        "id": file.uid,
        "variant": file.variant,
        "hour": instant(file.hour),
        "uri": file.uri,
        "n_records": file.n_records,
        "size_bytes": file.size_bytes,
        "created_at": instant(file.created_at),
    }
