"""Reading datasets: lists, one dataset or version, its profile, preview and bytes.

Every function sees only the actor's project; a dataset of another project is as unknown as one that never
was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from jobs.models import Dataset, DatasetVersion, TrainingInput
from mlplatform.core.errors import NotFound
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _

ORDERS: Final = {
    "created": "created_at",
    "updated": "updated_at",
    "name": "name",
    "rows": "n_rows",
    "size": "size_bytes",
}


@dataclass(frozen=True)
class Preview:
    """The first rows as text, as they are in the file; a missing cell is empty."""

    columns: list[str]
    types: list[str]
    rows: list[list[str]]
    n_rows: int


@dataclass(frozen=True)
class Download:
    """The file as it was uploaded. `path` is set where the store is a folder on this machine."""

    filename: str
    content_type: str
    size_bytes: int
    chunks: Iterator[bytes]
    path: Path | None


def dataset_list(
    *,
    actor: Actor,
    search: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[Dataset]:
    """A page of the project's datasets, each with `latest`, and `n_jobs`, the training jobs that have used
    it.

    Args:
        search: Part of the name or description.
        order: created, updated, name, rows or size, with `-` for descending.

    Raises:
        InvalidRequest: unknown order, a limit or cursor that is wrong.
    """
    datasets = Dataset.objects.filter(project=actor.project).annotate(
        n_rows=Coalesce("latest__n_rows", 0), size_bytes=Coalesce("latest__size_bytes", 0)
    )
    if search:
        text = search[:100]
        datasets = datasets.filter(Q(name__icontains=text) | Q(description__icontains=text))
    return page_of(datasets, orders=ORDERS, order=order, limit=limit, cursor=cursor, load=_listed)


def dataset_get(*, actor: Actor, name: str) -> Dataset:
    """The dataset of that name, with `latest`. Raises NotFound."""
    dataset = _visible(actor).filter(name=name[:64]).first()
    if dataset is None:
        raise NotFound(_("There is no dataset {name}", name=repr(name[:80])))
    return dataset


def dataset_version_get(*, actor: Actor, reference: str) -> DatasetVersion:
    """The version that `name` (the latest) or `name@2` means. Raises NotFound."""
    name, at, number = reference.partition("@")
    dataset = dataset_get(actor=actor, name=name)
    versions = dataset.versions.select_related("dataset__project", "created_by", "parent__dataset")
    if not at:
        number = str(dataset.latest.number) if dataset.latest else ""
    known = number.isascii() and number.isdecimal() and len(number) < 9
    version = versions.filter(number=int(number)).first() if known else None
    if version is None:
        raise NotFound(
            _("There is no version {number} of dataset {name}", number=repr(number[:20]), name=repr(name))
        )
    return version


def dataset_versions(*, dataset: Dataset) -> list[DatasetVersion]:
    """All versions, the newest first."""
    return list(dataset.versions.select_related("created_by", "parent__dataset"))


def dataset_uses(*, dataset: Dataset, limit: int = 100) -> list[TrainingInput]:
    """Channels of training jobs that read a version of the dataset, the newest job first; `job` is loaded."""
    inputs = TrainingInput.objects.filter(dataset_version__dataset=dataset)
    return list(inputs.select_related("job", "dataset_version").order_by("-job__created_at", "-pk")[:limit])


def dataset_count(*, actor: Actor) -> int:
    return Dataset.objects.filter(project=actor.project).count()


def dataset_profile(*, actor: Actor, reference: str) -> dict[str, Any]:
    """The whole `profile.json`: statistics with histograms, preview, sample. Raises NotFound, TransientError."""
    version = dataset_version_get(actor=actor, reference=reference)
    profile: dict[str, Any] = json.loads(object_store().get_bytes(version.profile_uri))
    return profile


def dataset_preview(*, actor: Actor, reference: str) -> Preview:
    """The first 100 rows (fewer of a very wide table). Raises NotFound, TransientError."""
    profile = dataset_profile(actor=actor, reference=reference)
    return Preview(
        columns=profile["schema"]["columns"],
        types=profile["schema"]["types"],
        rows=profile["preview"],
        n_rows=profile["n_rows"],
    )


def dataset_download(*, actor: Actor, reference: str) -> Download:
    """The version's bytes, streamed. Raises NotFound; reading the chunks may raise TransientError."""
    version = dataset_version_get(actor=actor, reference=reference)
    store = object_store()
    return Download(
        filename=version.filename,
        content_type=version.content_type.partition(";")[0],
        size_bytes=version.size_bytes,
        chunks=store.chunks(version.uri),
        path=store.local_path(version.uri),
    )


def _visible(actor: Actor) -> QuerySet[Dataset]:
    return _related(Dataset.objects.filter(project=actor.project))


def _related(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    return datasets.select_related("project", "latest", "created_by")


def _listed(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """Columns of a version are long, and no list shows them."""
    return _related(datasets).annotate(n_jobs=_n_jobs()).defer("latest__columns")


def _n_jobs() -> Coalesce:
    inputs = TrainingInput.objects.filter(dataset_version__dataset=OuterRef("pk")).order_by()
    counted = inputs.values(dataset=F("dataset_version__dataset")).annotate(n=Count("job", distinct=True))
    return Coalesce(Subquery(counted.values("n")), 0)
