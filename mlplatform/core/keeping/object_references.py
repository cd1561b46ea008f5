"""Which rows refer to which objects: every room says it here once, for deletion, orphans and dangling rows.

An object is kept while any of these rows names it. Rooms register in their `objects` module, which their AppConfig
imports when ready. Nothing is read here from the store.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db.models import Model, QuerySet

from mlplatform.core.text import Text

_OURS = re.compile(r"s3://[^/]+/([a-z-]+)/([0-9a-f]{26})/[^/]")


@dataclass(frozen=True)
class ObjectReference:
    """Columns of one table that hold addresses of objects.

    Attributes:
        title: What a row is, for reports.
        model: `app.Model`.
        prefix: First part of the keys its services write, followed by an id of ours: `<prefix>/<uid>/…`.
        columns: Those with an address; empty text is none. One that ends with `/` means all objects below it.
        expected: Whether there is an object wherever a column names one; else it may come, or never.
        uid: The column with that id, which has an index.
        unfinished: Conditions of rows whose objects are still being written; the columns name them only at the end.
    """

    title: Text
    model: str
    prefix: str
    columns: tuple[str, ...]
    uid: str = "uid"
    expected: bool = True
    unfinished: Mapping[str, Any] | None = None

    @property
    def rows(self) -> QuerySet[Any]:
        table: type[Model] = apps.get_model(self.model)
        return table._default_manager.order_by()


@dataclass(frozen=True)
class Referred:
    """A row's reference to an object."""

    title: Text
    row_id: int
    uri: str


_REFERENCES: Final[dict[tuple[str, tuple[str, ...]], ObjectReference]] = {}


def object_reference(reference: ObjectReference) -> None:
    """Registers what a room refers to."""
    _REFERENCES[reference.model, reference.columns] = reference


def object_prefixes() -> frozenset[str]:
    """First parts of all keys that the platform itself writes."""
    return frozenset(reference.prefix for reference in _REFERENCES.values())


def object_is_ours(uri: str) -> bool:
    """Whether the platform gave this address: `s3://<bucket>/<prefix>/<uid>/…`. A user's own object never has one."""
    match = _OURS.match(uri)
    return match is not None and match[1] in object_prefixes()


def objects_referred(uris: Collection[str]) -> set[str]:
    """Those of `uris` that a row refers to; of a few hundred at a time."""
    found: set[str] = set()
    for reference in _REFERENCES.values():
        found |= _meant(_by_uid(reference, uris), uris)
    # The rest is few. A row may refer to an object under another row's id, as one with another label does.
    rest = set(uris) - found
    for reference in _REFERENCES.values():
        for column in reference.columns:
            if rest:
                found |= set(_values(reference.rows.filter(**{f"{column}__in": rest}), (column,)))
    return found & set(uris)


def objects_unfinished(uris: Collection[str]) -> set[str]:
    """Those of `uris` that belong to a row which will name them when all of them are there."""
    found: set[str] = set()
    by_prefix = _uids(uris)
    for reference in _REFERENCES.values():
        uids = by_prefix.get(reference.prefix) if reference.unfinished is not None else None
        if uids:
            rows = reference.rows.filter(**{f"{reference.uid}__in": uids}, **(reference.unfinished or {}))
            at_work = set(rows.values_list(reference.uid, flat=True))
            found |= {uri for uri in uris if not at_work.isdisjoint(_uids([uri]).get(reference.prefix, ()))}
    return found


def objects_all_referred(*, batch: int = 500) -> Iterator[list[Referred]]:
    """Every reference of every row, in batches by primary key: constant memory."""
    for reference in (each for each in _REFERENCES.values() if each.expected):
        last = 0
        while rows := list(
            reference.rows.filter(pk__gt=last).order_by("pk").values_list("pk", *reference.columns)[:batch]
        ):
            last = rows[-1][0]
            yield [Referred(reference.title, pk, uri) for pk, *uris in rows for uri in uris if uri]


def _by_uid(reference: ObjectReference, uris: Collection[str]) -> set[str]:
    uids = _uids(uris).get(reference.prefix)
    if not uids:
        return set()
    return set(_values(reference.rows.filter(**{f"{reference.uid}__in": uids}), reference.columns))


def _meant(addresses: set[str], uris: Collection[str]) -> set[str]:
    """Those of `uris` that one of the addresses is, or is a folder of."""
    folders = tuple(address for address in addresses if address.endswith("/"))
    return {uri for uri in uris if uri in addresses or (folders and uri.startswith(folders))}


def _uids(uris: Collection[str]) -> dict[str, set[str]]:
    uids: dict[str, set[str]] = defaultdict(set)
    for uri in uris:
        match = _OURS.match(uri)
        if match:
            uids[match[1]].add(match[2])
    return uids


def _values(rows: QuerySet[Any], columns: tuple[str, ...]) -> Iterator[str]:
    for row in rows.values_list(*columns).iterator(chunk_size=500):
        yield from filter(None, row)
