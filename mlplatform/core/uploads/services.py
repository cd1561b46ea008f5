"""Resumable uploads: announced, added to piece by piece, and given to a service that makes something of them.

An upload is its user's, in its project, and lies on the disk of the machine that took it. Called by the faces, by
`jobs.services.dataset_uploads`, and by the sweep.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from mlplatform.core import names
from mlplatform.core.errors import InvalidRequest, LimitExceeded, Locked, NotFound, TooLarge
from mlplatform.core.keeping.disk_room import disk_room_check
from mlplatform.core.keeping.machine import machine_sweep
from mlplatform.core.keeping.sweeps import Lane, Swept, sweep
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.tabular.schema import EMPTY_FILE
from mlplatform.core.text import text as _
from mlplatform.core.uploads.file import (
    NO_UPLOAD,
    Announced,
    Append,
    UploadFile,
    halves_remove,
    upload_find,
    upload_new,
    uploads_held,
    uploads_in,
)

FILENAME_MAX: Final = 255
PIECE_BYTES: Final = 1024 * 1024
EVERY_S: Final = 60
HALF_S: Final = 3600
REST_S: Final = 600
"""After the clock was set or the machine slept all uploads look old; who sends one goes on by then."""


@dataclass(frozen=True)
class WholeUpload:
    """An upload that has come whole, as Django's uploaded file on disk: services link it and copy nothing."""

    name: str
    path: Path

    def temporary_file_path(self) -> str:
        return str(self.path)

    def __iter__(self) -> Iterator[bytes]:
        """Pieces, for where it cannot be linked."""
        with self.path.open("rb") as file:
            yield from iter(lambda: file.read(PIECE_BYTES), b"")


def uploads_dir() -> Path:
    return Path(settings.DATA_DIR) / "uploads"


def expires_at(upload: UploadFile) -> float:
    """When it goes if nothing more of it comes, in seconds since the epoch. Raises NotFound."""
    return upload.changed_at + float(settings.MLPLATFORM_UPLOAD_EXPIRY_S)


def upload_create(*, actor: Actor, length: int, filename: str = "") -> UploadFile:
    """Announces an upload.

    Args:
        length: Of the whole, in bytes.
        filename: As the user's machine calls it; only shown.

    Raises:
        InvalidRequest: it is empty, or the name too long.
        TooLarge: over the upload limit.
        LimitExceeded: the user has too many unfinished ones.
        InsufficientStorage: there would be no room for it beside what is still to come of others.
    """
    actor.require(Role.EDITOR)
    _checked(length, filename)
    with uploads_held(uploads_dir()):
        _room_check(actor, length)
        announced = Announced(actor.project.pk, actor.user.pk, length, filename, time.time())
        return upload_new(uploads_dir(), names.uid_new(), announced)


def upload_get(*, actor: Actor, uid: str) -> UploadFile:
    """The actor's own upload. Raises NotFound."""
    upload = upload_find(uploads_dir(), uid)
    if upload is None or not _is_of(upload, actor):
        raise NotFound(NO_UPLOAD)
    return upload


def upload_list(*, actor: Actor) -> list[UploadFile]:
    """The actor's own uploads in the project, the oldest first."""
    return [upload for upload in uploads_in(uploads_dir()) if _is_of(upload, actor)]


def upload_append(*, actor: Actor, uid: str, offset: int, n_bytes: int | None = None) -> Append:
    """The right to add bytes; whoever gets it closes it.

    Args:
        offset: Where they belong, which is how many have come.
        n_bytes: How many, where that is known.

    Raises:
        NotFound; Locked: another request is adding; Conflict: another offset.
        TooLarge: more than was announced.
        InsufficientStorage: the disk is, or would be, below its floor.
    """
    actor.require(Role.EDITOR)
    upload = upload_get(actor=actor, uid=uid)
    disk_room_check(n_bytes=n_bytes or 0)
    if offset + (n_bytes or 0) > upload.announced.length:
        raise TooLarge(
            _(
                "The upload was announced with {length} bytes; {n} from {offset} on are more",
                length=f"{upload.announced.length:,}",
                n=f"{n_bytes or 0:,}",
                offset=f"{offset:,}",
            )
        )
    return upload.append(offset=offset)


def upload_delete(*, actor: Actor, uid: str) -> None:
    """Removes it with what has come. Raises NotFound; Locked: bytes are coming in."""
    actor.require(Role.EDITOR)
    upload_get(actor=actor, uid=uid).remove()


@contextmanager
def upload_taken(*, actor: Actor, uid: str, field: str = "upload") -> Iterator[WholeUpload]:
    """The upload for a service that makes something of it: it goes when that is done, and stays where it is refused.

    Raises:
        InvalidRequest: the field names no upload of the actor's, or one of which bytes are missing.
    """
    try:
        upload = upload_get(actor=actor, uid=uid)
        offset = upload.offset
    except NotFound as error:
        raise InvalidRequest.for_field(field, error.message) from None
    if offset < upload.announced.length:
        raise InvalidRequest.for_field(
            field,
            _(
                "of this upload {offset} of {length} bytes have come; send the rest first",
                offset=f"{offset:,}",
                length=f"{upload.announced.length:,}",
            ),
        )
    yield WholeUpload(upload.announced.filename, upload.path)
    with suppress(NotFound, Locked):  # somebody else takes it away, or the sweep will
        upload.remove()


@sweep("uploads", every_s=EVERY_S, rest_s=REST_S, lane=Lane.SLOW)
def uploads_sweep() -> Swept:
    return Swept(uploads_expire())


@machine_sweep
def uploads_expire() -> int:
    """Removes the uploads of this machine of which nothing has come for the expiry time; how many."""
    n_removed = halves_remove(uploads_dir(), older_than_s=HALF_S)
    for upload in filter(_is_expired, uploads_in(uploads_dir())):
        with suppress(NotFound, Locked):
            upload.remove()
            n_removed += 1
    return n_removed


def _checked(length: int, filename: str) -> None:
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    if length > limit:
        raise TooLarge(
            _(
                "Upload-Length: {length} bytes are more than {limit}, the most that may be uploaded",
                length=f"{length:,}",
                limit=f"{limit:,}",
            )
        )
    if length < 1:
        raise InvalidRequest.for_field("Upload-Length", EMPTY_FILE)
    if len(filename) > FILENAME_MAX:
        raise InvalidRequest.for_field(
            "Upload-Metadata", _("the name of the file is longer than {n} characters", n=FILENAME_MAX)
        )


def _room_check(actor: Actor, length: int) -> None:
    """Whether one more upload of the actor's, of so many bytes, has room among those that are there."""
    there = [upload for upload in uploads_in(uploads_dir()) if not _is_expired(upload)]
    most = settings.MLPLATFORM_UPLOADS_PER_USER
    mine = sum(upload.announced.user == actor.user.pk for upload in there)
    if mine >= most:
        raise LimitExceeded(
            _(
                "You have {n} uploads that nothing was made of yet, and {most} is the most; finish or delete one, or "
                "wait until they expire",
                n=mine,
                most=most,
            )
        )
    disk_room_check(n_bytes=length + sum(_missing(upload) for upload in there))


def _is_of(upload: UploadFile, actor: Actor) -> bool:
    return (upload.announced.project, upload.announced.user) == (actor.project.pk, actor.user.pk)


def _is_expired(upload: UploadFile) -> bool:
    """Also of one that was removed meanwhile. Removing is the sweep's, which rests where all looks old."""
    with suppress(NotFound):
        return expires_at(upload) < time.time()
    return True


def _missing(upload: UploadFile) -> int:
    with suppress(NotFound):
        return upload.announced.length - upload.offset
    return 0
