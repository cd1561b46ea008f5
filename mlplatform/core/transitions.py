"""The one place where a status is written: a conditional UPDATE that the tables of `mlplatform.core.status` allow.

Called by services, inside their transactions. A new row begins with its model's default and needs none of this.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from mlplatform.core.status import origins

M = TypeVar("M", bound=Model)


def status_update(rows: QuerySet[M], *, to: StrEnum, **values: Any) -> int:
    """Gives those of `rows` that may become `to` this status and `values`; how many there were.

    0 is how a writer learns that it came too late: somebody else has moved the row on.
    """
    return rows.filter(status__in=origins(to)).update(status=to, **values)
