"""Somebody else's change at the worst moment: between what was looked up and the transaction that relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connection


@contextmanager
def before_the_first_transaction(change: Callable[[], object]) -> Iterator[None]:
    """Makes `change` right before the next transaction begins; only in tests with `transaction=True`."""
    changes = [change]
    with before_transactions(lambda: changes and changes.pop()()):
        yield
    assert not changes, "there was no transaction"


@contextmanager
def before_transactions(act: Callable[[], object]) -> Iterator[None]:
    """Calls `act` right before every transaction; only SQLite is told by a statement when one begins."""
    begin = connection.set_autocommit

    def begin_after(autocommit: bool, *arguments: Any, **options: Any) -> None:
        if not autocommit:
            act()
        begin(autocommit, *arguments, **options)

    with mock.patch.object(connection, "set_autocommit", begin_after):
        yield


@contextmanager
def before_the_first(statement: str, change: Callable[[], object]) -> Iterator[None]:
    """Makes `change` right before the next statement that begins so is carried out."""
    changes = [change]

    def execute_after(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith(statement) and changes:
            changes.pop()()
        return execute(sql, *arguments)

    with connection.execute_wrapper(execute_after):
        yield
    assert not changes, f"there was no {statement}"
