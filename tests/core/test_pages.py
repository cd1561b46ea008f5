"""Keyset pages: every row once, in order, whatever the order and however many are alike."""

from __future__ import annotations

import random

import pytest

from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.models import Node
from mlplatform.core.pages import page_of

pytestmark = pytest.mark.django_db
ORDERS = {"name": "name", "hostname": "hostname", "seen": "seen_at"}


@pytest.fixture
def nodes() -> list[Node]:
    dice = random.Random(0)
    at = clock.now()
    return Node.objects.bulk_create(
        Node(
            kind="worker",
            name=f"n{n}",
            hostname=dice.choice("abc"),
            pid=n,
            version="1",
            started_at=at,
            seen_at=at,
        )
        for n in range(40)
    )


def _walk(order: str, limit: int) -> list[int]:
    pks: list[int] = []
    cursor = None
    while True:
        page = page_of(Node.objects.all(), orders=ORDERS, order=order, limit=limit, cursor=cursor)
        assert page.count == 40
        assert len(page.items) <= limit
        pks += [node.pk for node in page.items]
        cursor = page.next
        if cursor is None:
            return pks


@pytest.mark.parametrize("order", ["name", "-name", "hostname", "-hostname", "seen", "-seen"])
@pytest.mark.parametrize("limit", [1, 7, 40, 100])
def test_the_pages_together_are_the_list(nodes: list[Node], order: str, limit: int) -> None:
    field = ORDERS[order.removeprefix("-")]
    expected = sorted(nodes, key=lambda node: (getattr(node, field), node.pk), reverse=order.startswith("-"))
    assert _walk(order, limit) == [node.pk for node in expected]


def test_a_cursor_belongs_to_its_order_and_cannot_be_forged(nodes: list[Node]) -> None:
    cursor = page_of(Node.objects.all(), orders=ORDERS, order="name", limit=1).next
    assert cursor is not None
    for order, given in (("hostname", cursor), ("name", cursor[:-1] + "x"), ("name", "x"), ("name", "\0")):
        with pytest.raises(InvalidRequest):
            page_of(Node.objects.all(), orders=ORDERS, order=order, cursor=given)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_out_of_range_is_refused(nodes: list[Node], limit: int) -> None:
    with pytest.raises(InvalidRequest, match="1 to 100"):
        page_of(Node.objects.all(), orders=ORDERS, order="name", limit=limit)


def test_only_named_fields_order_a_list(nodes: list[Node]) -> None:
    with pytest.raises(InvalidRequest, match="use name, hostname, seen"):
        page_of(Node.objects.all(), orders=ORDERS, order="kind")
