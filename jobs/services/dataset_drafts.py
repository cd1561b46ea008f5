"""From bytes that somebody named to a draft that can be published: fetched, inspected, its faults named.

Called by the dataset services only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.data import process
from jobs.models import DatasetVersion
from jobs.services.dataset_fetch import https_fetch
from jobs.services.dataset_publish import Draft, filename_clean
from jobs.services.dataset_staging import too_large
from mlplatform.core import names
from mlplatform.core.errors import DataError, InvalidRequest, NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store

Label = str | int | None


@dataclass(frozen=True)
class Reading:
    """How the user says the file is to be read; None is guessed, but a label that is None is none."""

    label: Label = None
    header: bool | None = None
    encoding: str | None = None
    delimiter: str | None = None


def draft_read(
    path: Path,
    folder: Path,
    reading: Reading,
    *,
    filename: str,
    source: DatasetVersion.Source,
    detail: str = "",
    parent: DatasetVersion | None = None,
) -> Draft:
    """Inspects the staged file at `path`. Raises InvalidRequest: field `file` with row and column, or `label`."""
    with data_errors("file"):
        inspection = process.file_inspect(
            path,
            profile_path=folder / "profile.json",
            label=reading.label,
            header=reading.header,
            encoding=reading.encoding,
            delimiter=reading.delimiter,
        )
    return Draft(
        inspection,
        path,
        filename=filename_clean(filename, default=""),
        source=source,
        source_detail=detail,
        parent=parent,
    )


@contextmanager
def data_errors(field: str) -> Iterator[None]:
    """A fault in the data is one of the request's field."""
    try:
        yield
    except DataError as error:
        raise InvalidRequest.for_field(field, error.text) from error


def uri_fetch(actor: Actor, uri: str, path: Path) -> None:
    """Writes what lies at `uri` to `path`. Raises InvalidRequest (field `uri`), TooLarge."""
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
    if bucket != actor.project.bucket:
        raise InvalidRequest.for_field(
            "uri",
            _(
                "%(uri)s is in another bucket, which is not read: this project's is s3://%(bucket)s/. Upload the "
                "file, or give a public https:// address, such as a presigned one"
            )
            % {"uri": uri[:200], "bucket": actor.project.bucket},
        )
    size = object_store().size(uri)
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


def uri_shown(uri: str) -> str:
    """Without the query: it may hold a signature that is a secret."""
    return uri.partition("?")[0].partition("#")[0]


@contextmanager
def local_file(version: DatasetVersion, folder: Path) -> Iterator[Path]:
    """The version's bytes as a file: the store's own where it is a folder, else a copy in `folder`."""
    store = object_store()
    path = store.local_path(version.uri)
    if path is None:
        path = folder / "download"
        store.download(version.uri, path)
    yield path
