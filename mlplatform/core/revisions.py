"""Bump and read revision counters; bump inside the transaction that makes the change.

Who acts on a counter looks at it over and over. Rooms may listen to `revision_bumped` and tell processes of this
machine, so that those look at once.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from django.db import connection, transaction
from django.db.models import F
from django.dispatch import Signal

from mlplatform.core.models import Revision

ROUTING: Final = "routing"
revision_bumped: Final = Signal()
"""Sent after the transaction was committed, with `name`."""
TOLD_LOOK_S: Final = 1.0
LOOK_S: Final = 0.25
_ASKED = f"SELECT value FROM {Revision._meta.db_table} WHERE name = %s"


def revision_bump(*, name: str = ROUTING) -> None:
    if not Revision.objects.filter(name=name).update(value=F("value") + 1):
        Revision.objects.get_or_create(name=name, defaults={"value": 1})
    transaction.on_commit(partial(revision_bumped.send_robust, Revision, name=name), robust=True)


def revision_look_s() -> float:
    """How often to look at a counter. A database file is changed by processes of this machine only, which tell of it;
    to look is then only for what got lost on the way.
    """
    return TOLD_LOOK_S if connection.vendor == "sqlite" else LOOK_S


def revision_value(*, name: str = ROUTING) -> int:
    """0 for one that was never bumped. Gateway and host ask over and over: the ORM would cost them most."""
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, [name])
        row = cursor.fetchone()
    return int(row[0]) if row else 0
