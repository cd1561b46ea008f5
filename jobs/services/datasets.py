"""Making, changing and deleting datasets. Viewers read (see `jobs.selectors.datasets`), editors write.

The bytes are staged on this machine, inspected in a process of their own, and only then become visible,
whole: a file that cannot be used leaves no row, no object and no temporary file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from jobs.data import process
from jobs.data.fractions import fractions_check
from jobs.models import Dataset, DatasetVersion, TrainingInput
from jobs.selectors.datasets import dataset_get, dataset_version_get
from jobs.services.dataset_fetch import https_fetch
from jobs.services.dataset_publish import (
    Draft,
    dataset_publish,
    filename_clean,
    name_free_check,
    version_publish,
)
from jobs.services.dataset_staging import Upload, staging_folder, too_large, upload_receive
from mlplatform.core import clock, names
from mlplatform.core.access import Actor
from mlplatform.core.errors import Conflict, DataError, FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Role
from mlplatform.core.objects import object_store
from mlplatform.core.status import TERMINAL_TRAINING
from mlplatform.core.tabular.schema import TableSchema

DESCRIPTION_MAX: Final = 10_000
TAGS_MAX: Final = 50
PARTS_MAX: Final = 10
Label = str | int | None


class _Keep(Enum):
    KEEP = "keep"


KEEP: Final = _Keep.KEEP
"""Leaves what there is, where None would mean none."""


def dataset_create_from_upload(
    *,
    actor: Actor,
    name: str,
    file: Upload,
    filename: str = "",
    label: Label = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    description: str = "",
) -> Dataset:
    """A dataset of an uploaded CSV, Parquet or JSON Lines file.

    Args:
        file: Read once, in pieces, never held in memory.
        filename: As the user's machine calls it; only shown.
        label: Name or position of the label column; None for none.
        header: Whether the first row of a CSV names the columns; None is guessed.
        encoding, delimiter: Of a CSV; None is guessed.

    Raises:
        InvalidRequest: a field that is wrong; `file` with row and column of what cannot be used.
        Conflict: the name is taken.
        TooLarge: over the upload limit.
    """
    actor.require(Role.EDITOR)
    _check_new(actor, name, description)
    with staging_folder() as folder:
        path = folder / "data"
        upload_receive(file, path)
        said = {"label": label, "header": header, "encoding": encoding, "delimiter": delimiter}
        draft = _draft(path, folder, said, filename=filename, source=DatasetVersion.Source.UPLOAD)
        return dataset_publish(actor=actor, drafts=[(name, description, draft)])[0]


def dataset_create_from_uri(
    *,
    actor: Actor,
    name: str,
    uri: str,
    label: Label = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    description: str = "",
) -> Dataset:
    """A dataset of a copy of what lies at `uri` now: `s3://` of this project's bucket, or a public
    `https://`.

    Raises:
        InvalidRequest: a field that is wrong; `uri` for one that cannot be read, `file` for what was read.
        Conflict: the name is taken.
        TooLarge: over the upload limit.
    """
    actor.require(Role.EDITOR)
    _check_new(actor, name, description)
    with staging_folder() as folder:
        path = folder / "data"
        _fetch(actor, uri, path)
        said = {"label": label, "header": header, "encoding": encoding, "delimiter": delimiter}
        last = uri.partition("?")[0].rpartition("/")[2]
        draft = _draft(
            path, folder, said, filename=last, source=DatasetVersion.Source.URI, detail=_shown_uri(uri)
        )
        return dataset_publish(actor=actor, drafts=[(name, description, draft)])[0]


def dataset_create_from_sample(*, actor: Actor, name: str, sample: str, description: str = "") -> Dataset:
    """One of `jobs.data.sample_list.SAMPLES` as a dataset. Raises InvalidRequest (field `sample`), Conflict."""
    actor.require(Role.EDITOR)
    _check_new(actor, name, description)
    with staging_folder() as folder:
        path = folder / "data"
        label = process.sample_write(sample, path)
        draft = _draft(
            path,
            folder,
            {"label": label, "header": True},
            filename=f"{sample}.csv",
            source=DatasetVersion.Source.SAMPLE,
            detail=sample,
        )
        return dataset_publish(actor=actor, drafts=[(name, description, draft)])[0]


def dataset_version_add(
    *,
    actor: Actor,
    name: str,
    file: Upload,
    filename: str = "",
    label: Label | _Keep = KEEP,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> DatasetVersion:
    """A new version of uploaded bytes, which becomes the latest.

    Args:
        label: By default the column that is the label of the latest version.

    Raises:
        NotFound, InvalidRequest, TooLarge.
    """
    actor.require(Role.EDITOR)
    dataset = dataset_get(actor=actor, name=name)
    wanted = _label_name(dataset.latest) if isinstance(label, _Keep) else label
    with staging_folder() as folder:
        path = folder / "data"
        upload_receive(file, path)
        said = {"label": wanted, "header": header, "encoding": encoding, "delimiter": delimiter}
        draft = _draft(
            path,
            folder,
            said,
            filename=filename,
            source=DatasetVersion.Source.UPLOAD,
            parent=dataset.latest,
        )
        return version_publish(actor=actor, dataset=dataset, draft=draft)


def dataset_update(
    *,
    actor: Actor,
    name: str,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    label: Label | _Keep = KEEP,
) -> Dataset:
    """Changes description, tags (None: as they are) or label; another label makes a version of the same
    bytes.

    Raises:
        NotFound, InvalidRequest.
    """
    actor.require(Role.EDITOR)
    dataset = dataset_get(actor=actor, name=name)
    changed = _changes(description, tags)
    if not isinstance(label, _Keep):
        _relabel(actor, dataset, label)
    if changed:
        Dataset.objects.filter(pk=dataset.pk).update(**changed, updated_at=clock.now())
    return dataset_get(actor=actor, name=name)


def dataset_split(
    *,
    actor: Actor,
    name: str,
    fractions: Mapping[str, float],
    seed: int = 0,
    shuffle: bool = True,
    stratify: bool = False,
) -> list[Dataset]:
    """New datasets `<name>-<part>` with the rows that scikit-learn's `train_test_split` gives each part.

    Args:
        name: `name` or `name@version`.
        fractions: Part → share of the rows, `{"train": 0.75, "test": 0.25}`; together at most 1.
        seed: The `random_state`.
        stratify: Keep the proportions of the labels.

    Raises:
        NotFound, InvalidRequest.
        Conflict: the name of a part is taken.
    """
    actor.require(Role.EDITOR)
    version = dataset_version_get(actor=actor, reference=name)
    fractions_check(fractions)
    targets = _split_names(actor, version, fractions)
    _check_seed(seed)
    with staging_folder() as folder, _local_file(version, folder) as path, _data_errors("fractions"):
        parts = process.file_split(
            path,
            TableSchema.from_dict(version.schema),
            {part: float(fraction) for part, fraction in fractions.items()},
            folder=folder,
            seed=seed,
            shuffle=shuffle,
            stratify=stratify,
        )
        how = "stratified, " if stratify else ""
        drafts = [
            (
                targets[part.name],
                "",
                Draft(
                    part.inspection,
                    part.path,
                    filename=f"{targets[part.name]}{part.path.suffix}",
                    source=DatasetVersion.Source.SPLIT,
                    source_detail=f"{version}: {part.name} {fractions[part.name]:g}, {how}seed {seed}",
                    parent=version,
                ),
            )
            for part in parts
        ]
        return dataset_publish(actor=actor, drafts=drafts)


def dataset_delete(*, actor: Actor, name: str) -> None:
    """Deletes the dataset, all its versions and their bytes. Ended jobs keep its name as the text of their
    channel.

    Raises:
        NotFound.
        Conflict: jobs that have not ended read it; the message names them.
    """
    actor.require(Role.EDITOR)
    dataset = dataset_get(actor=actor, name=name)
    with transaction.atomic():
        Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
        running = _running_jobs(dataset)
        if running:
            raise Conflict(
                _("Dataset %(name)r is read by jobs that have not ended: %(jobs)s")
                % {"name": name, "jobs": ", ".join(running)}
            )
        versions = list(dataset.versions.all())
        dataset.delete()
        uris = {version.uri for version in versions} | {version.profile_uri for version in versions}
        transaction.on_commit(lambda: object_store().delete(sorted(uris)))


def _check_new(actor: Actor, name: str, description: str) -> None:
    name_free_check(actor=actor, name=name)
    _check_description(description)


def _check_description(description: str) -> None:
    if len(description) > DESCRIPTION_MAX:
        raise InvalidRequest.for_field(
            "description",
            _("has %(n)s characters; use at most %(limit)s")
            % {"n": len(description), "limit": DESCRIPTION_MAX},
        )


def _draft(
    path: Path,
    folder: Path,
    said: dict[str, Any],
    *,
    filename: str,
    source: DatasetVersion.Source,
    detail: str = "",
    parent: DatasetVersion | None = None,
) -> Draft:
    with _data_errors("file"):
        inspection = process.file_inspect(path, profile_path=folder / "profile.json", **said)
    return Draft(
        inspection,
        path,
        filename=filename_clean(filename, default=""),
        source=source,
        source_detail=detail,
        parent=parent,
    )


@contextmanager
def _data_errors(field: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise InvalidRequest.for_field(field, str(error)) from error


def _fetch(actor: Actor, uri: str, path: Path) -> None:
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    if uri.startswith("s3://"):
        _copy_object(actor, uri, path, limit)
    elif uri.startswith("https://"):
        https_fetch(uri, path, limit_bytes=limit)
    else:
        raise InvalidRequest.for_field(
            "uri",
            _("%(uri)r cannot be read; use s3://%(bucket)s/key or https://host/path")
            % {"uri": uri[:200], "bucket": actor.project.bucket},
        )


def _copy_object(actor: Actor, uri: str, path: Path, limit: int) -> None:
    bucket, _key = names.uri_split(uri)
    size = object_store().size(uri) if bucket == actor.project.bucket else None
    if size is None:
        raise InvalidRequest.for_field(
            "uri",
            _("there is no object %(uri)s; objects of this project lie in s3://%(bucket)s/")
            % {"uri": uri[:200], "bucket": actor.project.bucket},
        )
    if size > limit:
        raise too_large(limit)
    try:
        object_store().download(uri, path)
    except NotFound as error:
        raise InvalidRequest.for_field("uri", error.message) from None


def _shown_uri(uri: str) -> str:
    """Without the query: it may hold a signature that is a secret."""
    return uri.partition("?")[0].partition("#")[0]


def _label_name(version: DatasetVersion | None) -> str | None:
    return None if version is None else version.label_name


def _changes(description: str | None, tags: Mapping[str, str] | None) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if description is not None:
        _check_description(description)
        changed["description"] = description
    if tags is not None:
        _check_tags(tags)
        changed["tags"] = dict(tags)
    return changed


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        raise InvalidRequest.for_field("tags", f"there are {len(tags)}; use at most {TAGS_MAX}")
    for key, value in tags.items():
        if not isinstance(value, str) or not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidRequest.for_field(
                f"tags.{key[:128]}", _("use a key of 1 to 128 characters and a text of at most 256")
            )


def _relabel(actor: Actor, dataset: Dataset, label: Label) -> None:
    version = dataset.latest
    assert version is not None
    if (label or None) == version.label_name and label != 0:
        return
    with staging_folder() as folder, _local_file(version, folder) as path, _data_errors("label"):
        inspection = process.file_relabel(
            path,
            TableSchema.from_dict(version.schema),
            n_rows=version.n_rows,
            label=label,
            profile_path=folder / "profile.json",
        )
        if inspection.schema.label == version.schema["label"]:
            return
        draft = Draft(
            inspection,
            None,
            filename=version.filename,
            source=DatasetVersion.Source.RELABEL,
            source_detail=inspection.schema.label_name or "",
            parent=version,
        )
        version_publish(actor=actor, dataset=dataset, draft=draft)


@contextmanager
def _local_file(version: DatasetVersion, folder: Path) -> Iterator[Path]:
    """The version's bytes as a file: the store's own where it is a folder, else a copy in `folder`."""
    store = object_store()
    path = store.local_path(version.uri)
    if path is None:
        path = folder / "download"
        store.download(version.uri, path)
    yield path


def _split_names(actor: Actor, version: DatasetVersion, fractions: Mapping[str, float]) -> dict[str, str]:
    if len(fractions) > PARTS_MAX:
        raise InvalidRequest.for_field(
            "fractions",
            _("there are %(n)s; use at most %(limit)s") % {"n": len(fractions), "limit": PARTS_MAX},
        )
    found: dict[str, str] = {}
    for part in fractions:
        target = f"{version.dataset.name}-{part}"
        names.name_check(part, field=f"fractions.{part[:63]}")
        names.name_check(target, field=f"fractions.{part[:63]}")
        try:
            name_free_check(actor=actor, name=target)
        except Conflict as error:
            raise Conflict(error.message, errors=[FieldError(f"fractions.{part}", error.message)]) from None
        found[part] = target
    return found


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise InvalidRequest.for_field("seed", f"{seed} is out of range; use 0 to {2**32 - 1}")


def _running_jobs(dataset: Dataset) -> list[str]:
    inputs = TrainingInput.objects.filter(dataset_version__dataset=dataset)
    running = inputs.exclude(job__status__in=TERMINAL_TRAINING).order_by("job__name")
    return list(running.values_list("job__name", flat=True).distinct())
