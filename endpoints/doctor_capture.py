"""What the doctor looks at in data capture: whether records that were drawn are kept and stored.

Numbers only, as in `endpoints.doctor`: why it is so may name a project's bucket, and stands on the endpoints' pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Count, Max, Q

from endpoints.models import DataCapture
from mlplatform.core import clock
from mlplatform.core.amounts import time_text
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.text import text as _

LOST_WITHIN: Final = timedelta(hours=1)
_REMEDY: Final = _(
    "Look at disk and object store here; the pages Data capture of those endpoints and the gateway's log say why."
)


@doctor_check("data_capture", title=_("Data capture"), reads_database=True)
def data_capture_check() -> Iterator[Finding]:
    lately = Q(dropped_at__gt=clock.now() - LOST_WITHIN)
    counted = DataCapture.objects.filter(is_on=True).aggregate(
        n=Count("pk"),
        paused=Count("pk", filter=Q(problem__is_paused=True)),
        waiting=Count("pk", filter=Q(problem__is_paused=False)),
        losing=Count("pk", filter=lately),
        lost_at=Max("dropped_at", filter=lately),
    )
    wrong = list(_wrong(counted["paused"], counted["waiting"]))
    if counted["losing"]:
        ago = time_text(max(0.0, (clock.now() - counted["lost_at"]).total_seconds()))
        said = _(
            "Records of {n} endpoints could not be captured, the last {time} ago",
            n=counted["losing"],
            time=ago,
        )
        wrong.append(Finding("data_capture", Level.WARNING, said, _REMEDY))
    if not wrong:
        yield Finding(
            "data_capture", Level.OK, _("Endpoints whose requests are captured: {n}", n=counted["n"])
        )
    yield from wrong


def _wrong(n_paused: int, n_waiting: int) -> Iterator[Finding]:
    if n_paused:
        said = _("Requests of {n} endpoints are answered and not captured", n=n_paused)
        yield Finding("data_capture", Level.FAILED, said, _REMEDY)
    if n_waiting:
        said = _(
            "Captured records of {n} endpoints wait on the gateway's disk and are not stored", n=n_waiting
        )
        yield Finding("data_capture", Level.WARNING, said, _REMEDY)
