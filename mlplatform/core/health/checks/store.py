"""The object store: a small object is written, read and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from mlplatform.core.amounts import latency_text
from mlplatform.core.errors import StorageFull, StorageReadOnly
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.health.probes import OtherBytes, store_folder, store_probe
from mlplatform.core.startup.refusals import store_refusal
from mlplatform.core.storage.faults import STORE, storage_full, storage_read_only
from mlplatform.core.storage.refused import store_refused
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

CHECK: Final = "store"
SLOW_MS: Final = 2000.0


@doctor_check(CHECK, title=_("Object store"))
def store_check() -> Iterator[Finding]:
    folder = store_folder()
    if folder is not None and not folder.is_dir():
        said = _("There is no folder {path} for the objects", path=str(folder))
        remedy = _(
            "If it was on another disk, mount that disk; OBJECT_STORE_URL and MLPLATFORM_DATA_DIR say where it is."
        )
        yield Finding(CHECK, Level.FAILED, said, remedy)
        return
    try:
        latency_ms = store_probe()
    except Exception as error:
        yield _failing(error)
        return
    where = (
        _("the folder {path}", path=str(folder))
        if folder
        else _("the bucket {url}", url=settings.OBJECT_STORE_URL)
    )
    if latency_ms > SLOW_MS:
        said = _("The object store took {latency} for a few bytes", latency=latency_text(latency_ms))
        yield Finding(
            CHECK, Level.WARNING, said, _("Look at the load of its disk (`iostat`) or at the network.")
        )
        return
    said = _(
        "An object was written, read and deleted in {latency}, in {where}",
        latency=latency_text(latency_ms),
        where=where,
    )
    yield Finding(CHECK, Level.OK, said)


def _failing(error: Exception) -> Finding:
    if isinstance(error, StorageFull):
        return Finding(CHECK, Level.FAILED, _("The object store is full"), storage_full(STORE).message)
    if isinstance(error, StorageReadOnly):
        return Finding(
            CHECK, Level.FAILED, _("The object store is read-only"), storage_read_only(STORE).message
        )
    if isinstance(error, OtherBytes):
        said = _("The object store gave back other bytes than it was given")
        return Finding(
            CHECK, Level.FAILED, said, _("Stop the platform and have the disk or the store's server checked.")
        )
    cause = error.__cause__ or error
    reason: Text | str = type(cause).__name__
    if store_folder() is None:
        bucket = urlsplit(settings.OBJECT_STORE_URL).netloc
        reason = store_refused(cause, reads=False) or store_refusal(str(cause), bucket)[0]
    return Finding(
        CHECK, Level.FAILED, _("The object store does not work ({error})", error=reason), _remedy()
    )


def _remedy() -> Text:
    folder = store_folder()
    if folder is not None:
        return _("See who owns {path} and whether its disk is mounted (`ls -ld`, `mount`).", path=str(folder))
    return _("Check OBJECT_STORE_URL, the AWS_* variables of every process and the network to the store.")
