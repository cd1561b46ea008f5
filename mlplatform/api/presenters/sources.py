"""Source code and scripts as JSON."""

from __future__ import annotations

from typing import Any

from jobs.models import Source, TrainingJob
from jobs.runner.source_files import entry_points
from mlplatform.api.presenters.instants import instant


def source_json(source: Source) -> dict[str, Any]:
    return {
        "uid": source.uid,
        "uri": source.uri,
        "sha256": source.sha256,
        "archive_bytes": source.archive_bytes,
        "files": source.files,
        "entry_points": entry_points(file["path"] for file in source.files),
        "created_by": source.created_by.get_username(),
        "created_at": instant(source.created_at),
    }


def script_json(job: TrainingJob) -> dict[str, Any] | None:
    """The script of a job; None for a built-in algorithm."""
    if job.source is None:
        return None
    return {"framework": job.framework, "entry_point": job.entry_point, "source": job.source.uid}
