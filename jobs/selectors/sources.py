"""Reading the source code of scripts. Every function sees only the actor's project."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from jobs.models import Source
from jobs.runner.source_files import source_read, source_unpack
from mlplatform.core.errors import NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.archives import archive_read_file
from mlplatform.core.storage.objects import object_store


def source_get(*, actor: Actor, uid: str) -> Source:
    """The source of that id. Raises NotFound."""
    found = Source.objects.select_related("project").filter(project=actor.project, uid=uid[:26]).first()
    if found is None:
        raise NotFound(_("There is no source %(uid)r") % {"uid": uid[:40]})
    return found


def source_files(*, actor: Actor, uid: str) -> dict[str, bytes]:
    """All files of a source by path. Raises NotFound."""
    return source_content(source=source_get(actor=actor, uid=uid))


def source_file(*, actor: Actor, uid: str, path: str) -> bytes:
    """One file of a source. Raises NotFound that names the files there are."""
    source = source_get(actor=actor, uid=uid)
    paths = [file["path"] for file in source.files]
    if path in paths:
        with _archive(source) as archive:
            limit = next(int(file["size_bytes"]) for file in source.files if file["path"] == path)
            content = archive_read_file(Path(archive.name), path, limit_bytes=limit)
        if content is not None:
            return content
    raise NotFound(
        _("There is no file %(path)r in this source; it has %(paths)s")
        % {"path": path[:200], "paths": ", ".join(paths[:20])}
    )


def source_archive(*, actor: Actor, uid: str) -> tuple[Iterator[bytes], str, int]:
    """The archive in pieces, its file name and size. Raises NotFound."""
    source = source_get(actor=actor, uid=uid)
    return object_store().chunks(source.uri), "sourcedir.tar.gz", source.archive_bytes


def source_content(*, source: Source) -> dict[str, bytes]:
    """All files of a source that the caller has already got, by path. Raises NotFound for one whose object is gone or
    was changed.
    """
    with _archive(source) as archive, tempfile.TemporaryDirectory(prefix="source-") as folder:
        scratch = Path(folder) / "files"
        source_unpack(Path(archive.name), scratch)
        return source_read(scratch)


def _archive(source: Source) -> tempfile._TemporaryFileWrapper[bytes]:
    """The archive as a file that goes with its `with`. Raises NotFound for one that was changed."""
    file = tempfile.NamedTemporaryFile(prefix="source-", suffix=".tar.gz")  # noqa: SIM115  closed by the caller
    digest = hashlib.sha256()
    for chunk in object_store().chunks(source.uri):
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    if digest.hexdigest() != source.archive_sha256:
        file.close()
        raise NotFound(
            _("The archive of source %(uid)r is not the one that was taken in; upload the code again")
            % {"uid": source.uid}
        )
    return file
