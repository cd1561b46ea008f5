"""Objects that no row and no tombstone refers to, and rows whose object is missing: found, told, and the first removed.

A process that is killed between storing an object and committing its row leaves an orphan. Only addresses that the
platform itself gives are looked at, only in buckets of projects it knows, and only what is older than the grace time,
so that nothing under way is taken for left over. Called by the scheduler's sweep, `manage.py orphans` and the doctor.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings

from mlplatform.core import clock
from mlplatform.core.keeping.object_references import (
    Referred,
    object_is_ours,
    object_prefixes,
    objects_all_referred,
    objects_referred,
    objects_unfinished,
)
from mlplatform.core.keeping.sweeps import Lane, Swept, sweep
from mlplatform.core.keeping.tombstones import tombstones_carry_out
from mlplatform.core.models import ObjectTombstone, Project
from mlplatform.core.names import uri as uri_of
from mlplatform.core.storage.objects import object_store, objects_bury
from mlplatform.core.storage.store import KeptObject, ObjectStore

SWEEP: Final = "orphans"
EVERY_S: Final = 6 * 3600
REST_S: Final = 3600
"""After the database was away: a worker may have waited for longer than the grace time to write its outcome."""
BATCH: Final = 500
PAUSE_S: Final = 0.01
LISTED: Final = 100
HELD_BACK_FROM: Final = 20
"""So many orphans that are also more than half of all objects are not removed by themselves: wrong database?"""


@dataclass
class OrphanReport:
    """What one look at the store found. `orphans` and `dangling` have the first of each."""

    n_objects: int = 0
    n_orphans: int = 0
    n_bytes: int = 0
    oldest_at: datetime | None = None
    n_dangling: int = 0
    orphans: list[KeptObject] = field(default_factory=list)
    dangling: list[Referred] = field(default_factory=list)

    @property
    def is_suspicious(self) -> bool:
        return self.n_orphans >= HELD_BACK_FROM and 2 * self.n_orphans > self.n_objects

    def to_json(self) -> dict[str, Any]:
        return {
            "n_objects": self.n_objects,
            "n_orphans": self.n_orphans,
            "n_bytes": self.n_bytes,
            "oldest_at": self.oldest_at.isoformat(timespec="seconds") if self.oldest_at else None,
            "n_dangling": self.n_dangling,
        }


def grace_s() -> float:
    """The age from which something nobody refers to is an orphan; 0 where none are to be removed by themselves."""
    return float(settings.MLPLATFORM_ORPHAN_GRACE_S)


def orphans_report(*, grace_s: float, n_listed: int = LISTED) -> OrphanReport:
    """Looks at every object and every reference once, in constant memory. Raises TransientError."""
    report = OrphanReport()
    for n_objects, orphans in _batches(grace_s):
        report.n_objects += n_objects
        report.n_orphans += len(orphans)
        report.n_bytes += sum(orphan.size_bytes for orphan in orphans)
        report.orphans += orphans[: n_listed - len(report.orphans)]
        for orphan in orphans:
            at = datetime.fromtimestamp(orphan.changed_at, tz=UTC)
            report.oldest_at = min(report.oldest_at or at, at)
    for missing in _dangling():
        report.n_dangling += 1
        if len(report.dangling) < n_listed:
            report.dangling.append(missing)
    return report


def orphans_bury(*, grace_s: float) -> int:
    """Buries every orphan and deletes what the store lets delete now; how many were buried.

    One that a row refers to after all is kept, since that is asked again before the deletion.
    """
    n_buried = 0
    for _n_objects, orphans in _batches(grace_s):
        objects_bury([orphan.uri for orphan in orphans], reason="orphan", at_once=False)
        n_buried += len(orphans)
    while n_buried and tombstones_carry_out().n_taken:
        time.sleep(PAUSE_S)
    return n_buried


@sweep(SWEEP, every_s=EVERY_S, rest_s=REST_S, lane=Lane.SLOW, wanted=lambda: grace_s() > 0)
def orphans_sweep() -> Swept:
    """Looks first; buries only what cannot be a store that belongs to another database."""
    report = orphans_report(grace_s=grace_s())
    held_back = report.is_suspicious
    n_buried = 0 if held_back or not report.n_orphans else orphans_bury(grace_s=grace_s())
    return Swept(n_buried, detail=report.to_json() | {"n_buried": n_buried, "held_back": held_back})


def _batches(grace_s: float) -> Iterator[tuple[int, list[KeptObject]]]:
    """Of every few hundred objects of ours: how many, and which of them are orphans."""
    oldest = clock.now().timestamp() - grace_s
    objects = filter(lambda found: object_is_ours(found.uri), _objects())
    while batch := list(itertools.islice(objects, BATCH)):
        old = {found.uri: found for found in batch if found.changed_at < oldest}
        kept = objects_referred(old) | objects_unfinished(old) if old else set()
        kept |= set(ObjectTombstone.objects.filter(uri__in=old.keys() - kept).values_list("uri", flat=True))
        yield len(batch), [found for uri, found in old.items() if uri not in kept]
        time.sleep(PAUSE_S)


def _objects() -> Iterator[KeptObject]:
    store = object_store()
    for project in Project.objects.order_by("pk"):
        for prefix in sorted(object_prefixes()):
            yield from store.walk(uri_of(project.bucket, prefix))


def _is_there(store: ObjectStore, uri: str) -> bool:
    """Whether there is the object, or any below the folder."""
    if uri.endswith("/"):
        return next(store.list(uri), None) is not None
    return store.size(uri) is not None


def _dangling() -> Iterator[Referred]:
    store = object_store()
    for batch in objects_all_referred():
        missing = [referred for referred in batch if not _is_there(store, referred.uri)]
        # What was deleted while we looked is no longer referred to.
        still = objects_referred({referred.uri for referred in missing}) if missing else set()
        yield from (referred for referred in missing if referred.uri in still)
        time.sleep(PAUSE_S)
