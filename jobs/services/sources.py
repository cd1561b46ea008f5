"""Taking in the source code of scripts: files, an archive, or what lies under an address. Called by pages and REST.

A source is never changed: the same content in the same project is the same row, and an edit makes another one. What no
job, tuning job or model refers to is removed after a day (`sources_remove`, a rule of `jobs.keeping`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet

from jobs.models import Source
from jobs.runner.source_files import (
    ARCHIVE,
    FILE_MAX_BYTES,
    FILES_MAX,
    TOTAL_MAX_BYTES,
    source_archive_read,
    source_digest,
    source_files_check,
    source_pack,
)
from jobs.selectors.sources import source_content, source_get
from jobs.services.channels import uri_objects
from jobs.services.dataset_staging import staging_folder
from mlplatform.core import clock, names
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store, objects_bury, objects_take_back
from mlplatform.core.text import text as _


def source_create(*, actor: Actor, files: Mapping[str, bytes], field: str = "files") -> Source:
    """Keeps the files as a source, or finds the one that has the same content.

    Args:
        files: Path within the source's folder to content.

    Raises:
        InvalidRequest: with every file that is not accepted.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    checked = source_files_check(files, field=field)
    digest = source_digest(checked)
    return _found(actor, digest) or _stored(actor, checked, digest)


def source_create_from_archive(*, actor: Actor, archive: Path, field: str = "archive") -> Source:
    """As `source_create`, from a `.tar.gz` with the source's folder at its root. Raises as that."""
    actor.require(Role.EDITOR)
    with staging_folder(n_bytes=archive.stat().st_size) as folder:
        files = source_archive_read(archive, folder / "files", field=field)
    if not files:
        raise InvalidRequest.for_field(field, _("has no file; give at least the entry point"))
    return source_create(actor=actor, files=files)


def source_create_from_uri(*, actor: Actor, uri: str, field: str = "uri") -> Source:
    """As `source_create`, from a `.tar.gz`, a script or all objects under a prefix, in the project's own bucket.

    Raises:
        InvalidRequest: there is nothing, too much, or something that is not accepted.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    bucket, key = names.uri_split(uri, field=field)
    if bucket != actor.project.bucket:
        raise InvalidRequest.for_field(
            field,
            _(
                "bucket {bucket} is not this project's; use s3://{own}/…",
                bucket=repr(bucket),
                own=actor.project.bucket,
            ),
        )
    found = uri_objects(uri, limit=FILES_MAX + 1)
    if not found:
        raise InvalidRequest.for_field(field, _("there is no object at or under {uri}", uri=uri[:200]))
    if found == [uri] and uri.endswith((".tar.gz", ".tgz")):
        with staging_folder() as folder:
            _bounded(found, TOTAL_MAX_BYTES, field)
            object_store().download(uri, folder / ARCHIVE)
            return source_create_from_archive(actor=actor, archive=folder / ARCHIVE, field=field)
    if len(found) > FILES_MAX:
        raise InvalidRequest.for_field(field, _("has more than {limit} objects", limit=f"{FILES_MAX:,}"))
    _bounded(found, FILE_MAX_BYTES if found == [uri] else TOTAL_MAX_BYTES, field)
    prefix = f"{uri.removesuffix('/')}/"
    files = {
        (PurePosixPath(key).name if item == uri else item.removeprefix(prefix)): object_store().get_bytes(
            item
        )
        for item in found
    }
    return source_create(actor=actor, files=files)


def source_edit(*, actor: Actor, uid: str, changes: Mapping[str, bytes | None]) -> Source:
    """The source with some files changed or added, and those removed that are given as None; the other one stays.

    Raises:
        NotFound: no such source.
        InvalidRequest: a file that is not accepted, or one to be removed that is not there.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    files = source_content(source=source_get(actor=actor, uid=uid))
    absent = [path for path, content in changes.items() if content is None and path not in files]
    if absent:
        message = _("is not in this source, which has {paths}", paths=", ".join(list(files)[:20]))
        raise InvalidRequest.for_fields(FieldError(f"files.{path[:80]}", message) for path in absent)
    merged = {**files, **{path: content for path, content in changes.items() if content is not None}}
    return source_create(
        actor=actor,
        files={path: content for path, content in merged.items() if changes.get(path, b"") is not None},
    )


def sources_remove(before: datetime, limit: int) -> int:
    """Removes sources that were given before then and that nothing refers to; how many."""
    free = _unreferred(Source.objects.filter(created_at__lt=before))
    removed = 0
    for source in free.order_by("pk")[:limit]:
        try:
            with transaction.atomic():
                # One that was asked for again meanwhile has a new time.
                n, _by_model = Source.objects.filter(pk=source.pk, created_at__lt=before).delete()
                if n:
                    objects_bury([source.uri], reason="source")
        except (ProtectedError, IntegrityError):
            continue  # somebody refers to it after all
        removed += n
    return removed


def _unreferred(sources: QuerySet[Source]) -> QuerySet[Source]:
    """Those that no row of any table points to, the tables of the rooms above among them."""
    for relation in Source._meta.related_objects:
        sources = sources.filter(**{f"{relation.name}__isnull": True})
    return sources


def _found(actor: Actor, digest: str) -> Source | None:
    """The row of this content, which is from now on as young as a new one: the sweep leaves it alone."""
    same = Source.objects.filter(project=actor.project, sha256=digest)
    return same.get() if same.update(created_at=clock.now()) else None


def _stored(actor: Actor, files: Mapping[str, bytes], digest: str) -> Source:
    uid = names.uid_new()
    uri = names.uri(actor.project.bucket, f"sources/{uid}/{ARCHIVE}")
    stored = object_store().put_bytes(source_pack(files), uri)
    source = Source(
        project=actor.project,
        uid=uid,
        uri=uri,
        sha256=digest,
        archive_sha256=stored.sha256,
        archive_bytes=stored.size_bytes,
        files=[{"path": path, "size_bytes": len(content)} for path, content in files.items()],
        created_by=actor.user,
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            source.save(force_insert=True)
            audit_record(actor=actor, action="source.create", target=uid, detail={"files": len(files)})
    except IntegrityError:
        objects_take_back([uri])
        same = _found(actor, digest)
        if same is None:
            raise
        return same
    except BaseException:
        objects_take_back([uri])
        raise
    return source


def _bounded(uris: Iterable[str], limit: int, field: str) -> None:
    """Looked at before anything is read. Raises InvalidRequest."""
    n_bytes = sum(object_store().size(uri) or 0 for uri in uris)
    if n_bytes > limit:
        raise InvalidRequest.for_field(
            field, _("has {n} bytes; use at most {limit}", n=f"{n_bytes:,}", limit=f"{limit:,}")
        )
