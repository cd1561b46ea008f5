"""A real row of the data an endpoint's model was trained with, to try it with.

Called by the try-it panel and the snippets.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from endpoints.models import Endpoint, Model, ProductionVariant
from jobs.models import DatasetVersion, TrainingInput
from mlplatform.core.errors import NotFound, TransientError
from mlplatform.core.storage.objects import object_store

TRAIN_CHANNEL = "train"


def endpoint_sample_row(*, endpoint: Endpoint) -> str:
    """The first training row as CSV without its label; zeros where that data is gone; empty if nothing is known."""
    variant = _first_variant(endpoint)
    return model_sample_row(model=variant.model) if variant else ""


def endpoint_sample_is_real(*, endpoint: Endpoint) -> bool:
    """Whether that row is one of the training data."""
    variant = _first_variant(endpoint)
    return variant is not None and _training_row(variant.model) is not None


def model_sample_row(*, model: Model) -> str:
    """The same for a model."""
    row = _training_row(model)
    n_features = model.manifest.get("n_features")
    if row is None and isinstance(n_features, int):
        row = ["0"] * n_features
    return _csv(row) if row else ""


def _first_variant(endpoint: Endpoint) -> ProductionVariant | None:
    """Of those that the endpoint came with (`endpoint_get`)."""
    config = endpoint.live or endpoint.wanted
    return min(config.variants.all(), key=lambda variant: variant.pk, default=None)


def _training_row(model: Model) -> list[str] | None:
    given = (
        TrainingInput.objects.filter(job_id=model.training_job_id, channel=TRAIN_CHANNEL)
        .select_related("dataset_version")
        .first()
    )
    if given is None or given.dataset_version is None:
        return None
    try:
        profile = json.loads(object_store().get_bytes(given.dataset_version.profile_uri))
        rows = profile.get("preview") or []
    except (NotFound, TransientError, ValueError):
        return None
    complete = (row for row in rows if all(str(cell).strip() for cell in row))
    first = next(complete, None)
    return None if first is None else _features(first, given.dataset_version)


def _features(row: Sequence[object], version: DatasetVersion) -> list[str]:
    label = version.schema.get("label")
    return [str(cell) for position, cell in enumerate(row) if position != label]


def _csv(row: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(row)
    return text.getvalue()
