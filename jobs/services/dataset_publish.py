"""Makes what was inspected a dataset: objects into the store, then all rows in one transaction, or nothing at
all.

Called by the dataset services only, but for `name_free_check`, which the form asks before it sends a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from jobs.data.process import Inspection
from jobs.models import Dataset, DatasetVersion
from mlplatform.core import clock, names
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, FieldError, NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store, objects_take_back
from mlplatform.core.storage.store import StoredObject

SUFFIXES: Final = {"csv": ".csv", "parquet": ".parquet", "jsonlines": ".jsonl"}
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Draft:
    """A version that is not yet one.

    Args:
        path: The staged file, given away; None for a version that shares the bytes of `parent`.
    """

    inspection: Inspection
    path: Path | None
    filename: str
    source: DatasetVersion.Source
    source_detail: str = ""
    parent: DatasetVersion | None = None


@dataclass(frozen=True)
class _Stored:
    uid: str
    data: StoredObject
    profile: StoredObject


def dataset_publish(
    *, actor: Actor, drafts: Sequence[tuple[str, str, Draft]], split_of: str = ""
) -> list[Dataset]:
    """New datasets, each of name, description and first version; all of them or none.

    Args:
        split_of: The dataset whose parts they are, for the audit log.

    Raises:
        Conflict: a name is taken.
        NotFound: the dataset they were made of was deleted meanwhile.
        TransientError: the object store is away; nothing is left in it then either.
    """
    stored: list[_Stored] = []
    try:
        for _name, _description, draft in drafts:
            stored.append(_store(actor, draft))
        with transaction.atomic():
            _hold_parents(drafts)
            if split_of:
                parts = [name for name, _description, _draft in drafts]
                audit_record(actor=actor, action="dataset.split", target=split_of, detail={"parts": parts})
            return [
                _create(actor, name, description, draft, objects)
                for (name, description, draft), objects in zip(drafts, stored, strict=True)
            ]
    except BaseException as error:
        _take_back(stored, [draft for _name, _description, draft in drafts])
        if isinstance(error, IntegrityError):
            for name, _description, _draft in drafts:
                name_free_check(actor=actor, name=name)
        raise


def version_publish(*, actor: Actor, dataset: Dataset, draft: Draft) -> DatasetVersion:
    """The next version of `dataset`, which becomes its latest. Raises NotFound (deleted meanwhile), TransientError."""
    stored: list[_Stored] = []
    try:
        stored.append(_store(actor, draft))
        with transaction.atomic():
            locked = _hold(dataset)
            version = _add_version(actor, locked, draft, stored[0])
            is_relabel = draft.source == DatasetVersion.Source.RELABEL
            _audit(actor, version, "dataset.update" if is_relabel else "dataset_version.create")
            return version
    except BaseException:
        _take_back(stored, [draft])
        raise


def _hold_parents(drafts: Sequence[tuple[str, str, Draft]]) -> None:
    """What the drafts were made of stays until the transaction ends."""
    parents = {draft.parent.dataset_id: draft.parent for _name, _description, draft in drafts if draft.parent}
    for _dataset_id, parent in sorted(parents.items()):
        _hold(parent.dataset)


def _hold(dataset: Dataset) -> Dataset:
    """The dataset's row, locked. Raises NotFound: deleted meanwhile."""
    locked = Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
    if locked is None:
        raise NotFound(f"There is no dataset {dataset.name!r}")
    return locked


def name_taken(name: str) -> Conflict:
    message = _("A dataset named %(name)r exists already in this project") % {"name": name}
    return Conflict(message, errors=[FieldError("name", message)])


def name_free_check(*, actor: Actor, name: str) -> None:
    """Raises InvalidRequest for what is no name, Conflict for a name that is taken, in whatever case."""
    names.name_check(name)
    if Dataset.objects.filter(project=actor.project, name__iexact=name).exists():
        raise name_taken(name)


def _store(actor: Actor, draft: Draft) -> _Stored:
    """Objects under keys of ours. A profile that cannot be stored takes the data with it."""
    store = object_store()
    uid = names.uid_new()
    folder = names.uri(actor.project.bucket, f"datasets/{uid}")
    if draft.path is None:
        assert draft.parent is not None
        data = StoredObject(draft.parent.uri, draft.parent.size_bytes, draft.parent.sha256)
    else:
        suffix = SUFFIXES[draft.inspection.schema.format] + (".gz" if _is_gzip(draft.path) else "")
        data = store.put_file(draft.path, f"{folder}/data{suffix}", move=True)
    try:
        profile = store.put_file(draft.inspection.profile_path, f"{folder}/profile.json", move=True)
    except BaseException:
        objects_take_back([] if draft.path is None else [data.uri])
        raise
    return _Stored(uid, data, profile)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _create(actor: Actor, name: str, description: str, draft: Draft, stored: _Stored) -> Dataset:
    if Dataset.objects.filter(project=actor.project, name__iexact=name).exists():
        raise name_taken(name)
    now = clock.now()
    dataset = Dataset.objects.create(
        project=actor.project,
        name=name,
        description=description,
        created_by=actor.user,
        created_at=now,
        updated_at=now,
    )
    _audit(actor, _add_version(actor, dataset, draft, stored), "dataset.create")
    return dataset


def _audit(actor: Actor, version: DatasetVersion, action: str) -> None:
    audit_record(
        actor=actor,
        action=action,
        target=version.dataset.name,
        detail={
            "version": version.number,
            "source": version.source,
            "from": version.source_detail,
            "label": version.label_name,
            "n_rows": version.n_rows,
            "sha256": version.sha256,
        },
    )


def _add_version(actor: Actor, dataset: Dataset, draft: Draft, stored: _Stored) -> DatasetVersion:
    inspection = draft.inspection
    newest: int = dataset.versions.aggregate(newest=Max("number"))["newest"] or 0
    now = clock.now()
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=newest + 1,
        uid=stored.uid,
        uri=stored.data.uri,
        profile_uri=stored.profile.uri,
        filename=filename_clean(
            draft.filename, default=f"{dataset.name}{SUFFIXES[inspection.schema.format]}"
        ),
        content_type=inspection.schema.content_type,
        size_bytes=stored.data.size_bytes,
        sha256=stored.data.sha256,
        n_rows=inspection.n_rows,
        n_columns=len(inspection.schema.columns),
        schema=inspection.schema.to_dict(),
        columns=inspection.columns,
        warnings=inspection.warnings,
        source=draft.source,
        source_detail=draft.source_detail[:300],
        parent=draft.parent,
        created_by=actor.user,
        created_at=now,
    )
    dataset.latest = version
    dataset.updated_at = now
    dataset.save(update_fields=["latest", "updated_at"])
    return version


def _take_back(stored: Sequence[_Stored], drafts: Sequence[Draft]) -> None:
    for objects, draft in zip(stored, drafts, strict=False):
        objects_take_back([objects.profile.uri] + ([] if draft.path is None else [objects.data.uri]))


def filename_clean(filename: str, *, default: str) -> str:
    """The last part of a file name, without control characters; only for showing and as the name of a
    download.
    """
    last = PurePath(filename.replace("\\", "/")).name
    clean = "".join(character for character in last if character.isprintable())[-255:]
    return clean if clean.strip(". ") else default
