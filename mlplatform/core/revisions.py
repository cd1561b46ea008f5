"""Bump and read revision counters; bump inside the transaction that makes the change."""

from __future__ import annotations

from django.db.models import F

from mlplatform.core.models import Revision

ROUTING = "routing"


def revision_bump(*, name: str = ROUTING) -> None:
    if not Revision.objects.filter(name=name).update(value=F("value") + 1):
        Revision.objects.get_or_create(name=name, defaults={"value": 1})


def revision_value(*, name: str = ROUTING) -> int:
    return Revision.objects.filter(name=name).values_list("value", flat=True).first() or 0
