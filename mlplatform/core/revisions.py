"""Bump and read revision counters; bump inside the transaction that makes the change."""

from __future__ import annotations

from django.db import connection
from django.db.models import F

from mlplatform.core.models import Revision

ROUTING = "routing"
_ASKED = f"SELECT value FROM {Revision._meta.db_table} WHERE name = %s"


def revision_bump(*, name: str = ROUTING) -> None:
    if not Revision.objects.filter(name=name).update(value=F("value") + 1):
        Revision.objects.get_or_create(name=name, defaults={"value": 1})


def revision_value(*, name: str = ROUTING) -> int:
    """0 for one that was never bumped. Gateway and host ask several times a second: the ORM would cost them most."""
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, [name])
        row = cursor.fetchone()
    return int(row[0]) if row else 0
