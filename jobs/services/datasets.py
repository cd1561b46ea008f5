"""Making, changing and deleting datasets. Viewers read (see `jobs.selectors.datasets`), editors write.

The bytes are staged on this machine, inspected in a process of their own, and only then become visible,
whole: a file that cannot be used leaves no row, no object and no temporary file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.data import process
from jobs.models import Dataset, DatasetVersion, TrainingInput
from jobs.selectors.datasets import dataset_get, dataset_version_get
from jobs.services.dataset_checks import description_check, new_check, seed_check, split_names, tags_check
from jobs.services.dataset_drafts import (
    Label,
    Reading,
    data_errors,
    draft_read,
    local_file,
    uri_fetch,
    uri_shown,
)
from jobs.services.dataset_publish import Draft, dataset_publish, version_publish
from jobs.services.dataset_staging import Upload, staging_folder, upload_receive
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import ACTIVE_EVALUATION, ACTIVE_TRANSFORM, TERMINAL_TRAINING
from mlplatform.core.storage.objects import objects_bury
from mlplatform.core.tabular.schema import TableSchema


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
    new_check(actor, name, description)
    with staging_folder() as folder:
        path = folder / "data"
        upload_receive(file, path)
        reading = Reading(label, header, encoding, delimiter)
        draft = draft_read(path, folder, reading, filename=filename, source=DatasetVersion.Source.UPLOAD)
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
    new_check(actor, name, description)
    with staging_folder() as folder:
        path = folder / "data"
        uri_fetch(actor, uri, path)
        reading = Reading(label, header, encoding, delimiter)
        last = uri.partition("?")[0].rpartition("/")[2]
        draft = draft_read(
            path, folder, reading, filename=last, source=DatasetVersion.Source.URI, detail=uri_shown(uri)
        )
        return dataset_publish(actor=actor, drafts=[(name, description, draft)])[0]


def dataset_create_from_sample(*, actor: Actor, name: str, sample: str, description: str = "") -> Dataset:
    """One of `jobs.data.sample_list.SAMPLES` as a dataset. Raises InvalidRequest (field `sample`), Conflict."""
    actor.require(Role.EDITOR)
    new_check(actor, name, description)
    with staging_folder() as folder:
        path = folder / "data"
        label = process.sample_write(sample, path)
        draft = draft_read(
            path,
            folder,
            Reading(label, header=True),
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
        reading = Reading(wanted, header, encoding, delimiter)
        draft = draft_read(
            path,
            folder,
            reading,
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
        with transaction.atomic():
            Dataset.objects.filter(pk=dataset.pk).update(**changed, updated_at=clock.now())
            audit_record(actor=actor, action="dataset.update", target=name, detail=changed)
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
    targets = split_names(actor, version, fractions)
    seed_check(seed)
    with (
        staging_folder(n_bytes=version.size_bytes) as folder,
        local_file(version, folder) as path,
        data_errors("fractions"),
    ):
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
        return dataset_publish(actor=actor, drafts=drafts, split_of=name)


def dataset_delete(*, actor: Actor, name: str) -> None:
    """Deletes the dataset, all its versions and their bytes. Ended jobs keep its name as the text of their
    channel.

    Raises:
        NotFound.
        Conflict: jobs or evaluations that have not ended read it; the message names them.
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
        _refuse_evaluated(dataset)
        _refuse_transformed(dataset)
        _table_runs_hold(dataset)
        kept_as = dataset.versions.values_list("uri", "profile_uri", "table_runs__result_uri")
        uris = {uri for found in kept_as for uri in found if uri}
        dataset.delete()
        objects_bury(uris, reason="dataset")
        audit_record(actor=actor, action="dataset.delete", target=name)


def _refuse_evaluated(dataset: Dataset) -> None:
    """The room above has the evaluations; it is asked through the reverse relation, not imported."""
    under_way = dataset.versions.filter(evaluations__status__in=ACTIVE_EVALUATION)
    readers = list(under_way.order_by("evaluations__name").values_list("evaluations__name", flat=True)[:10])
    if readers:
        raise Conflict(
            _("Dataset %(name)r is read by evaluations that have not ended: %(evaluations)s")
            % {"name": dataset.name, "evaluations": ", ".join(readers)}
        )


def _refuse_transformed(dataset: Dataset) -> None:
    under_way = dataset.versions.filter(transform_jobs__status__in=ACTIVE_TRANSFORM)
    names = under_way.order_by("transform_jobs__name").values_list("transform_jobs__name", flat=True)
    readers = list(names[:10])
    if readers:
        raise Conflict(
            _("Dataset %(name)r is read by transform jobs that have not ended: %(jobs)s")
            % {"name": dataset.name, "jobs": ", ".join(readers)}
        )


def _table_runs_hold(dataset: Dataset) -> None:
    """A run over the dataset that ends now has ended before its rows are looked up, or finds itself gone."""
    for version in dataset.versions.select_for_update(of=("self",)):
        list(version.table_runs.select_for_update(of=("self",)).values_list("pk"))


def _label_name(version: DatasetVersion | None) -> str | None:
    return None if version is None else version.label_name


def _changes(description: str | None, tags: Mapping[str, str] | None) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if description is not None:
        description_check(description)
        changed["description"] = description
    if tags is not None:
        tags_check(tags)
        changed["tags"] = dict(tags)
    return changed


def _relabel(actor: Actor, dataset: Dataset, label: Label) -> None:
    version = dataset.latest
    assert version is not None
    if (label or None) == version.label_name and label != 0:
        return
    with staging_folder() as folder, local_file(version, folder) as path, data_errors("label"):
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


def _running_jobs(dataset: Dataset) -> list[str]:
    inputs = TrainingInput.objects.filter(dataset_version__dataset=dataset)
    running = inputs.exclude(job__status__in=TERMINAL_TRAINING).order_by("job__name")
    return list(running.values_list("job__name", flat=True).distinct())
