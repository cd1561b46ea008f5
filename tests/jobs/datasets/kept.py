"""A small table, and what the store and the disk have of datasets."""

from __future__ import annotations

from pathlib import Path

from jobs.models import Dataset
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store

CSV = b"length,width,kind\n1.5,2,b\n3.50,,a\n5,6,b\n"


def objects(actor: Actor) -> list[str]:
    return [found.uri for found in object_store().list(f"s3://{actor.project.bucket}/datasets")]


def nothing_is_left(actor: Actor, data_dir: Path) -> bool:
    staged = list((data_dir / "tmp").iterdir()) if (data_dir / "tmp").exists() else []
    return not Dataset.objects.exists() and not objects(actor) and not staged
