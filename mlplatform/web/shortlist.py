"""Search and sort for lists that are short by nature (workers, keys, members, algorithms), in memory.

Not for objects that grow without bound: those come in keyset pages from their selectors.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Key = Callable[[T], Any]


@dataclass(frozen=True)
class ShortList(Generic[T]):
    """What is shown, and how many there are without the search."""

    items: list[T]
    count: int


def short_list(
    rows: Iterable[T], params: Mapping[str, Any], *, orders: Mapping[str, Key[T]], default: str, text: Key[T]
) -> ShortList[T]:
    """`rows` filtered by `search` and sorted by `order` of the query string.

    Args:
        orders: Allow-list of sort names; an unknown one falls back to `default`.
        text: What the search looks in.
    """
    everything = list(rows)
    wanted = folded(str(params.get("search", "")))
    found = [row for row in everything if wanted in folded(str(text(row)))]
    order = str(params.get("order") or default)
    if order.removeprefix("-") not in orders:
        order = default
    key = orders[order.removeprefix("-")]
    found.sort(key=lambda row: _sortable(key(row)), reverse=order.startswith("-"))
    return ShortList(found, len(everything))


def folded(text: str) -> str:
    """For comparing: full-width letters and digits as half-width ones, without case."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def search_text(params: Mapping[str, Any]) -> str:
    """The `search` of a query string as names are spelt: full-width letters and digits as half-width ones."""
    return unicodedata.normalize("NFKC", str(params.get("search", ""))).strip()


def _sortable(value: Any) -> tuple[bool, Any]:
    return value is not None, folded(value) if isinstance(value, str) else value
