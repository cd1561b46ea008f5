"""What the server of a model is told, wherever it runs: as the replica of an endpoint, or for one job alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from endpoints.async_limits import BODY_BYTES_MAX, PATIENT_S
from endpoints.model_code import ModelCode
from endpoints.model_files import SourceArchive
from endpoints.models import Model, ProductionVariant
from endpoints.server_spec import ServerSpec
from jobs.algorithms.registry import SCRIPT
from jobs.services.clearing import environments_dir


def server_spec_of(
    *,
    model: Model,
    uid: str,
    folder: Path,
    socket: Path,
    n_threads: int,
    memory_limit_bytes: int,
    environment: Mapping[str, str] | None = None,
    max_body_bytes: int | None = None,
    answer_within_s: float | None = None,
) -> ServerSpec:
    """The spec of a server of `model`.

    Args:
        uid: Names the server; its processes run as a user of their own by it.
        environment: In the place of the model's own.
        max_body_bytes, answer_within_s: What one request may carry and take; None for what an invocation may.
    """
    return ServerSpec(
        uid=uid,
        algorithm=model.algorithm,
        artifact_uri=model.artifact_uri,
        artifact_sha256=model.artifact_sha256,
        n_threads=n_threads,
        memory_limit_bytes=memory_limit_bytes,
        folder=folder,
        socket=socket,
        environment=model.environment if environment is None else environment,
        code=_code_of(model),
        max_body_bytes=max_body_bytes,
        answer_within_s=answer_within_s,
    )


def request_limits_of(variant: ProductionVariant) -> dict[str, Any]:
    """What one request may carry and take, where that is more than an invocation may."""
    if variant.config.async_inference is None:
        return {}
    return {"max_body_bytes": BODY_BYTES_MAX, "answer_within_s": PATIENT_S}


def _code_of(model: Model) -> ModelCode | None:
    """How a model that a script serves is served; None for one of a built-in algorithm."""
    if model.algorithm != SCRIPT:
        return None
    source = model.source
    return ModelCode(
        framework=model.framework,
        entry_point=model.entry_point,
        environments=environments_dir(),
        source=None if source is None else SourceArchive(source.uri, source.archive_sha256),
    )
