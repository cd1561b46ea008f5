"""How many bytes of the object store a project uses."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Sum

from jobs.models import DatasetVersion, TrainingJob
from mlplatform.core.people.access import Actor


@dataclass(frozen=True)
class StorageUse:
    datasets_bytes: int
    artifacts_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.datasets_bytes + self.artifacts_bytes


def storage_use(*, actor: Actor) -> StorageUse:
    """Bytes of all dataset versions and of all model artifacts of the project."""
    versions = DatasetVersion.objects.filter(dataset__project=actor.project)
    jobs = TrainingJob.objects.filter(project=actor.project)
    return StorageUse(
        datasets_bytes=versions.aggregate(n=Sum("size_bytes"))["n"] or 0,
        artifacts_bytes=jobs.aggregate(n=Sum("artifact_bytes"))["n"] or 0,
    )
