"""What tests do to the database itself, on SQLite and on Postgres: its address, and triggers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from django.db import connection

sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")


def database_url() -> str:
    """The test's own database, for processes that the test starts."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    port = f":{known['PORT']}" if known["PORT"] else ""
    host = quote(str(known["HOST"]), safe="")
    secret = f":{quote(str(known['PASSWORD']), safe='')}" if known["PASSWORD"] else ""
    return f"postgres://{known['USER']}{secret}@{host}{port}/{known['NAME']}"


def trigger_make(name: str, *, on: str, table: str, does: str, when: str = "") -> None:
    """A trigger for every row: `on` is `AFTER INSERT` and the like, `when` asks `OLD` and `NEW`, `does` a statement."""
    condition = f"WHEN ({when})" if when else ""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"CREATE TRIGGER {name} {on} ON {table} {condition} BEGIN {does}; END")
            return
        cursor.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER {name} {on} ON {table} FOR EACH ROW {condition} EXECUTE FUNCTION {name}()"
        )


def triggers_drop(names: list[str]) -> None:
    """Takes them back; it does not matter if one was never made."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in names:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            return
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # what waits for the commit keeps its table from changing
        for name in names:
            cursor.execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@contextmanager
def writes_refused(
    names_and_conditions: dict[str, str], *, on: str, table: str, message: str
) -> Iterator[None]:
    """The database refuses the write for every row of which one of the conditions holds; an empty one always does."""
    refuse = f"RAISE integrity_constraint_violation USING MESSAGE = '{message}'"
    does = f"SELECT RAISE(ABORT, '{message}')" if connection.vendor == "sqlite" else refuse
    try:
        for name, when in names_and_conditions.items():
            trigger_make(name, on=on, table=table, does=does, when=when)
        yield
    finally:
        triggers_drop(list(names_and_conditions))
