"""Alice edits `alpha`, Bob views it, Charlie owns `gamma`; tables and jobs for them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from jobs.models import Dataset, DatasetVersion, TrainingJob
from jobs.services.channels import ChannelRequest
from jobs.services.training import training_job_create
from mlplatform.core import clock
from mlplatform.core.models import Membership, Project, Role
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.storage.objects import object_store
from mlplatform.core.tabular.schema import TableSchema

KNN = {"k": "1", "predictor_type": "classifier", "sample_size": "20"}
ROWS = [(float(i % 2) + i / 100, float(i % 2) * 2, "yes" if i % 2 else "no") for i in range(20)]


@dataclass(frozen=True)
class Cast:
    alice: Actor
    bob: Actor
    charlie: Actor


def cast_make() -> Cast:
    alice, bob, charlie = (User.objects.create_user(name) for name in ("alice", "bob", "charlie"))
    alpha = project_create(user=alice, name="alpha")
    gamma = project_create(user=charlie, name="gamma")
    Membership.objects.create(project=alpha, user=bob, role=Role.VIEWER)
    return Cast(
        alice=Actor(alice, alpha, Role.EDITOR),
        bob=Actor(bob, alpha, Role.VIEWER),
        charlie=Actor(charlie, gamma, Role.ADMIN),
    )


def dataset_make(
    actor: Actor,
    name: str = "flags",
    *,
    rows: list[tuple[Any, ...]] | None = None,
    columns: tuple[str, ...] = ("a", "b", "flag"),
    types: tuple[str, ...] = ("fractional", "fractional", "text"),
    label: int | None = 2,
    label_mapping: dict[str, int] | None = None,
    text: str | None = None,
) -> DatasetVersion:
    """A CSV dataset in the store, as the dataset services leave one."""
    rows = ROWS if rows is None else rows
    content = _csv_text(columns, rows) if text is None else text
    if label_mapping is None and label is not None and types[label] == "text":
        label_mapping = {value: n for n, value in enumerate(sorted({str(row[label]) for row in rows}))}
    schema = TableSchema(
        format="csv",
        columns=columns,
        types=types,
        label=label,
        label_mapping=label_mapping,  # type: ignore[arg-type]
    )
    uid = uid_new()
    stored = object_store().put_bytes(content.encode(), uri(actor.project.bucket, f"datasets/{uid}/data.csv"))
    now = clock.now()
    dataset, _ = Dataset.objects.get_or_create(
        project=actor.project,
        name=name,
        defaults={"created_by": actor.user, "created_at": now, "updated_at": now},
    )
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=dataset.versions.count() + 1,
        uid=uid,
        uri=stored.uri,
        profile_uri=stored.uri + ".profile.json",
        filename="data.csv",
        content_type=schema.content_type,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        n_rows=len(rows),
        n_columns=len(columns),
        schema=schema.to_dict(),
        columns=[{"name": name, "type": kind} for name, kind in zip(columns, types, strict=True)],
        source="upload",
        created_by=actor.user,
        created_at=now,
    )
    dataset.latest = version
    dataset.save()
    return version


def job_make(actor: Actor, name: str | None = None, **changes: Any) -> TrainingJob:
    """A k-NN job on the dataset `flags`, which is made where it is missing."""
    if not Dataset.objects.filter(project=actor.project, name="flags").exists():
        dataset_make(actor)
    request: dict[str, Any] = {
        "algorithm": "knn",
        "hyperparameters": KNN,
        "channels": {"train": ChannelRequest(dataset="flags"), "test": ChannelRequest(dataset="flags")},
    }
    return training_job_create(actor=actor, name=name, **(request | changes))


def project_of(name: str) -> Project:
    return Project.objects.get(name=name)


def _csv_text(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def store_path(address: str) -> Path:
    path = object_store().local_path(address)
    assert path is not None
    return path
