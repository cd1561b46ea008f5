"""Somebody else's change at the worst moment: between what was looked up and the transaction that relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def before_the_first_transaction(change: Callable[[], object]) -> Iterator[None]:
    """Makes `change` right before the next transaction begins; only in tests with `transaction=True`."""
    changes = [change]

    def execute_after(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("BEGIN") and changes:
            changes.pop()()
        return execute(sql, *arguments)

    with connection.execute_wrapper(execute_after):
        yield
    assert not changes, "no transaction has begun"
