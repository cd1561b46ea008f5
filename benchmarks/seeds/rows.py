"""Rows of a table as SQL expressions of `i`, their number from 1, and how Postgres makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import connection
from django.db.models import NOT_PROVIDED, Field

from benchmarks.seeds.sizes import N_PROJECTS, N_USERS

PROJECT: Final = "bench"
OF_PROJECT: Final = f"case when i % 20 > 0 then 1 else 2 + (i / 20) % {N_PROJECTS - 1} end"
OF_USER: Final = f"1 + i % {N_USERS}"
PRICED: Final = {"price_per_hour": "0.115", "currency": "'USD'"}
_DAYS: Final = 180


@dataclass(frozen=True)
class Rows:
    """Rows of one model.

    Attributes:
        label: The model's, `app.Model`.
        columns: SQL expressions of i; the others have the model's defaults.
        afterwards: A statement that completes them when they are there.
    """

    label: str
    n: int
    columns: Mapping[str, str]
    afterwards: str = ""


def rows(label: str, n: int, *, afterwards: str = "", **columns: str) -> Rows:
    return Rows(label, n, columns, afterwards)


def made(label: str, n: int, *, afterwards: str = "", **columns: str) -> Rows:
    """Rows that people have made, over half a year."""
    return rows(label, n, afterwards=afterwards, created_by_id=OF_USER, created_at=at(n), **columns)


def owned(label: str, n: int, *, letter: str = "", **columns: str) -> Rows:
    """What a project has a list of, made by people; with a uid where there is a `letter`."""
    own = {"uid": uid(letter)} if letter else {}
    return made(label, n, project_id=OF_PROJECT, **own, **columns)


def at(n: int) -> str:
    """The i-th of `n` instants of the last half year; the last one is now."""
    return f"now() - interval '{_DAYS} days' * (({n} - i)::float / {n})"


def uid(letter: str, of: str = "i") -> str:
    return f"'{letter}' || lpad(({of})::text, 25, '0')"


def numbered(noun: str, of: str = "i") -> str:
    """A name such as `dataset-000012`."""
    return f"'{noun}-' || lpad(({of})::text, 6, '0')"


def when(condition: str, value: str, otherwise: str = "NULL") -> str:
    return f"case when {condition} then {value} else {otherwise} end"


def as_json(value: Any) -> str:
    text = json.dumps(value).replace("'", "''")
    return f"'{text}'::jsonb"


def fill(wanted: Rows) -> int:
    """Inserts them; how many there are. Raises ValueError: a column that the model does not have."""
    model = apps.get_model(wanted.label)
    columns = dict(wanted.columns)
    values = {
        field.column: columns.pop(str(field.column), "") or _default(field)
        for field in model._meta.concrete_fields
        if not (field.primary_key and field.get_internal_type().endswith("AutoField"))
    }
    if columns:
        raise ValueError(f"{wanted.label} has no {', '.join(columns)}")
    names = ", ".join(f'"{name}"' for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{model._meta.db_table}" ({names}) '
            f"SELECT {', '.join(values.values())} FROM generate_series(1, {wanted.n}) AS i"
        )
        n: int = cursor.rowcount
        if wanted.afterwards:
            cursor.execute(wanted.afterwards)
    return n


def _default(field: Field[Any, Any]) -> str:
    value = field.get_default() if field.default is not NOT_PROVIDED else None
    kind = field.get_internal_type()
    if value is None and field.null:
        return "NULL"
    if kind == "JSONField":
        return as_json(value)
    if kind == "BooleanField":
        return "true" if value else "false"
    if kind == "BinaryField":
        return "''::bytea"
    if kind == "DateTimeField":
        return "now()"
    if isinstance(value, int | float):
        return str(value)
    text = field.get_db_prep_save("" if value is None else value, connection)
    return f"'{text}'"
