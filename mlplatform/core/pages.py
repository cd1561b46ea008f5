"""Keyset pages: a page of a list starts after the last object of the one before, whatever was added meanwhile.

Two queries each, however long the list is. The rows of a page are found first, by what an index has, and only these are
loaded: what lists show beside them (joins, counts, long JSON) is read for a page and not for all that match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db import models
from django.db.models import Q, QuerySet

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

M = TypeVar("M", bound=models.Model)
LIMIT_MAX = 100
LIMIT_DEFAULT = 50


@dataclass(frozen=True)
class Page(Generic[M]):
    """`items` of this page, the cursor of the `next` one (None at the end) and how many match in all."""

    items: list[M]
    next: str | None
    count: int


def page_of(
    queryset: QuerySet[M],
    *,
    orders: Mapping[str, str],
    order: str,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    load: Callable[[QuerySet[M]], QuerySet[M]] | None = None,
) -> Page[M]:
    """One page of `queryset`.

    Args:
        queryset: What matches, with no more than filters and orders need.
        orders: Allow-list, public name → field that is never null (`{"created": "created_at"}`).
        order: A public name, with a leading `-` for descending.
        limit: 1 to 100.
        cursor: `next` of the page before; signed, so that a forged one is refused.
        load: Adds what is read with the rows of the page: related rows, counts, prefetches.

    Raises:
        InvalidRequest: unknown order, limit out of range, forged cursor.
    """
    field, descending = _order_field(orders, order)
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidRequest.for_field(
            "limit", _("{value} is out of range; use 1 to {limit}", value=limit, limit=LIMIT_MAX)
        )
    count = queryset.order_by().count()
    found = queryset.filter(_after(field, descending, _decode(cursor, order))) if cursor else queryset
    sign = "-" if descending else ""
    ordered = (f"{sign}{field}", f"{sign}pk")
    keys = found.order_by(*ordered).values("pk")[: limit + 1]
    loaded = load(queryset) if load else queryset
    rows = list(loaded.filter(pk__in=keys).order_by(*ordered))
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(items=rows, next=_encode(rows[-1], field, order) if more else None, count=count)


def _order_field(orders: Mapping[str, str], order: str) -> tuple[str, bool]:
    name = order.removeprefix("-")
    if name not in orders:
        accepted = ", ".join(orders)
        raise InvalidRequest.for_field(
            "order",
            _(
                "{value} is not a field to order by; use {accepted}, or -name",
                value=repr(order[:60]),
                accepted=accepted,
            ),
        )
    return orders[name], order.startswith("-")


def _after(field: str, descending: bool, place: list[Any]) -> Q:
    value, pk = place
    step = "lt" if descending else "gt"
    return Q(**{f"{field}__{step}": value}) | Q(**{field: value, f"pk__{step}": pk})


def _encode(row: models.Model, field: str, order: str) -> str:
    value: Any = reduce(getattr, field.split("__"), row)
    text = value.isoformat() if hasattr(value, "isoformat") else value
    return signing.dumps([order, text, row.pk], salt="cursor", compress=True)


def _decode(cursor: str, order: str) -> list[Any]:
    try:
        made_for, value, pk = signing.loads(cursor, salt="cursor")
    except (signing.BadSignature, ValueError, TypeError):
        raise InvalidRequest.for_field(
            "cursor", _("is not a cursor of this list; use `next` of the page before")
        ) from None
    if made_for != order:
        raise InvalidRequest.for_field(
            "cursor",
            _("belongs to the order {made_for}, not {order}", made_for=repr(made_for), order=repr(order)),
        )
    return [value, pk]
