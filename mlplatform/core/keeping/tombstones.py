"""The second phase of every deletion: objects that tombstones name are deleted from the store, however long it is away.

Phase one is `mlplatform.core.storage.objects.objects_bury`, in the transaction that removes the rows. A tombstone
goes when its object has gone; until then it is tried again with growing pauses and says what is wrong. Any number of
processes may do this at once. Called by the scheduler's sweep and, where the store is a folder, right after the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from mlplatform.core import clock
from mlplatform.core.errors import PlatformError
from mlplatform.core.keeping.object_references import objects_referred
from mlplatform.core.models import ObjectTombstone
from mlplatform.core.storage.objects import object_store

logger = logging.getLogger(__name__)
BATCH: Final = 200
LEASE_S: Final = 120
"""So long nobody else tries what one process has taken; after a kill it is due again by then."""
BACKOFF_FIRST_S: Final = 5
BACKOFF_MAX_S: Final = 3600
GIVE_WAY_AFTER: Final = 5
"""After so many failures in a row the store is taken to be away, and the rest of the batch waits."""


@dataclass(frozen=True)
class CarriedOut:
    """What became of a batch. `n_kept` are objects that a row refers to after all; they stay."""

    n_deleted: int = 0
    n_failed: int = 0
    n_kept: int = 0

    @property
    def n_taken(self) -> int:
        return self.n_deleted + self.n_failed + self.n_kept


def tombstones_carry_out(*, uris: Sequence[str] | None = None, limit: int = BATCH) -> CarriedOut:
    """Deletes the objects of tombstones that are due, at most `limit` of them.

    Args:
        uris: Only these, for what has just been committed.
    """
    taken = _take(uris, limit)
    if not taken:
        return CarriedOut()
    kept = objects_referred([tombstone.uri for tombstone in taken])
    for uri in kept:
        logger.error("%s has a tombstone and a row that refers to it: it is kept", uri)
    buried = [tombstone for tombstone in taken if tombstone.uri not in kept]
    failed = _delete(buried)
    done = [tombstone.pk for tombstone in taken if tombstone.pk not in failed]
    with transaction.atomic():
        ObjectTombstone.objects.filter(pk__in=done).delete()
        ObjectTombstone.objects.bulk_update(failed.values(), ["n_tries", "due_at", "last_error"])
    return CarriedOut(n_deleted=len(buried) - len(failed), n_failed=len(failed), n_kept=len(kept))


def backoff_s(n_tries: int) -> int:
    """How long to wait after the try of that number."""
    return int(min(BACKOFF_FIRST_S * 2 ** min(n_tries, 16), BACKOFF_MAX_S))


def _take(uris: Sequence[str] | None, limit: int) -> list[ObjectTombstone]:
    """Due tombstones, moved on so that no other process takes them too."""
    now = clock.now()
    # A time further off than any that is ever set was written by a clock that has been put right since.
    far_off = now + timedelta(seconds=2 * BACKOFF_MAX_S)
    due = ObjectTombstone.objects.filter(Q(due_at__lte=now) | Q(due_at__gt=far_off))
    if uris is not None:
        due = due.filter(uri__in=uris)
    if not due.exists():
        return []
    with transaction.atomic():
        rows = list(due.select_for_update(skip_locked=True).order_by("due_at", "pk")[:limit])
        until = clock.now() + timedelta(seconds=LEASE_S)
        ObjectTombstone.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=until)
    return rows


def _delete(tombstones: Sequence[ObjectTombstone]) -> dict[int, ObjectTombstone]:
    """Deletes what can be; the others by id, with what is wrong and when they are due again."""
    failed: dict[int, ObjectTombstone] = {}
    in_a_row = 0
    store = object_store()
    for tombstone in tombstones:
        if in_a_row >= GIVE_WAY_AFTER:
            _put_off(tombstone, "the store was away for those before it")
            failed[tombstone.pk] = tombstone
            continue
        try:
            store.delete([tombstone.uri])
            in_a_row = 0
        except PlatformError as error:
            in_a_row += 1
            _put_off(tombstone, error.message)
            failed[tombstone.pk] = tombstone
            logger.warning(
                "%s could not be deleted (try %d): %s", tombstone, tombstone.n_tries, error.message
            )
    return failed


def _put_off(tombstone: ObjectTombstone, why: str) -> None:
    wait_s = backoff_s(tombstone.n_tries)
    tombstone.n_tries += 1
    tombstone.due_at = clock.now() + timedelta(seconds=wait_s)
    tombstone.last_error = str(why)[:300]
