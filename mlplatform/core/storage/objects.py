"""The one object store of this installation, as the settings name it; and the first phase of deleting from it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache, partial

from django.conf import settings
from django.db import transaction

from mlplatform.core.keeping.object_references import objects_referred
from mlplatform.core.models import ObjectTombstone
from mlplatform.core.storage.store import ObjectStore

logger = logging.getLogger(__name__)
AT_ONCE = 50
"""So many objects of a folder are deleted by whoever buried them; more are left to the sweep."""


def object_store() -> ObjectStore:
    """The store of `OBJECT_STORE_URL`; opened once per process and address."""
    return _open(settings.OBJECT_STORE_URL)


def objects_bury(uris: Iterable[str], *, reason: str, at_once: bool = True) -> None:
    """Says, in the transaction that removes the last rows referring to them, that these objects are to go.

    Rolled back with it, nothing has happened. Committed, they go even if this process ends now: the scheduler carries
    tombstones out. Where the store is a folder, a few are deleted right after the commit, since that costs little.

    Args:
        reason: What they were of, such as `dataset`.
        at_once: False for one who carries tombstones out in batches afterwards.
    """
    buried = sorted(set(uris))
    with transaction.atomic():
        ObjectTombstone.objects.bulk_create(
            [ObjectTombstone(uri=uri, reason=reason) for uri in buried], ignore_conflicts=True
        )
        if at_once and 0 < len(buried) <= AT_ONCE and object_store().is_folder:
            transaction.on_commit(partial(_carry_out, buried))


def objects_take_back(uris: Iterable[str]) -> None:
    """Deletes objects of something that did not come about. Never raises: what prevented it is what is to be told.

    What a row refers to stays: a commit may have succeeded although only its answer was lost. What cannot be deleted
    now is buried; should that fail too, or the database not say what it has, the sweep of orphans finds it.
    """
    taken_back = list(uris)
    try:
        kept = objects_referred(taken_back)
        object_store().delete([uri for uri in taken_back if uri not in kept])
    except Exception:
        logger.warning("%d objects that nothing refers to are deleted later", len(taken_back), exc_info=True)
        _bury_quietly(taken_back)


def _bury_quietly(uris: list[str]) -> None:
    try:
        with transaction.atomic():
            objects_bury(uris, reason="taken back")
    except Exception:
        logger.exception("of %d objects that nothing refers to some are left", len(uris))


def _carry_out(uris: list[str]) -> None:
    """Never raises: what was asked for has been done, and the sweep does the rest."""
    from mlplatform.core.keeping.tombstones import tombstones_carry_out

    try:
        tombstones_carry_out(uris=uris)
    except Exception:
        logger.exception("the objects of what was deleted are left to the sweep")


@lru_cache(maxsize=4)
def _open(url: str) -> ObjectStore:
    return ObjectStore(url)
