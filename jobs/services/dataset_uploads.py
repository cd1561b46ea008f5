"""Datasets and versions of a resumable upload: the same as of a file in a form, and the upload goes.

What is refused (a label that is none, a faulty row) leaves the upload, so that it need not be sent again.
"""

from __future__ import annotations

from typing import Any

from jobs.models import Dataset, DatasetVersion
from jobs.services.datasets import dataset_create_from_upload, dataset_version_add
from mlplatform.core.people.access import Actor
from mlplatform.core.uploads.services import upload_taken


def dataset_create_from_resumable(
    *, actor: Actor, name: str, upload: str, description: str = "", **reading: Any
) -> Dataset:
    """As `dataset_create_from_upload`, which `reading` is of.

    Args:
        upload: Id of the actor's upload, which has come whole.

    Raises:
        InvalidRequest: also field `upload`: no such one, or bytes of it are missing.
        Conflict, TooLarge.
    """
    with upload_taken(actor=actor, uid=upload) as whole:
        return dataset_create_from_upload(
            actor=actor, name=name, file=whole, filename=whole.name, description=description, **reading
        )


def dataset_version_add_resumable(*, actor: Actor, name: str, upload: str, **reading: Any) -> DatasetVersion:
    """As `dataset_version_add`, which `reading` is of. Raises NotFound, InvalidRequest, TooLarge."""
    with upload_taken(actor=actor, uid=upload) as whole:
        return dataset_version_add(actor=actor, name=name, file=whole, filename=whole.name, **reading)
