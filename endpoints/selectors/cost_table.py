"""A project's costs as a table, for pages and files, and the days that are asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from endpoints.selectors.costs import DAYS_MAX, ProjectCosts, Spender
from mlplatform.core import clock
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.result_table import Cell, Column, ResultTable
from mlplatform.core.text import text as _

DAYS_SHOWN = 30
_YEARS = range(2000, 2200)
SPENDERS = {
    Spender.TRAINING: _("Training jobs"),
    Spender.TUNING: _("Tuning jobs"),
    Spender.ENDPOINT: _("Endpoints"),
    Spender.TRANSFORM: _("Transform jobs"),
}


def cost_period(*, since: date | None, until: date | None) -> tuple[datetime, datetime]:
    """From the beginning of the first day to the end of the last, UTC; the last 30 days by default.

    Raises:
        InvalidRequest: the last day is before the first, or they are more than a year apart.
    """
    today = clock.now().astimezone(UTC).date()
    errors = [
        FieldError(field, _("{day} is no day to be asked for", day=f"{day}"))
        for field, day in (("since", since), ("until", until))
        if day is not None and day.year not in _YEARS
    ]
    if errors:
        raise InvalidRequest.for_fields(errors)
    last = until or max(today, since or today)
    first = since or last - timedelta(days=DAYS_SHOWN - 1)
    if first > last:
        raise InvalidRequest.for_field(
            "until", _("{until} is before {since}", until=f"{last}", since=f"{first}")
        )
    if (last - first).days >= DAYS_MAX:
        message = _(
            "is {n} days after the first; ask for {maximum} at most", n=(last - first).days, maximum=DAYS_MAX
        )
        raise InvalidRequest.for_field("until", message)
    return (
        datetime.combine(first, time(), tzinfo=UTC),
        datetime.combine(last + timedelta(days=1), time(), tzinfo=UTC),
    )


def cost_table(costs: ProjectCosts) -> ResultTable:
    """A row per job, tuning job or endpoint, the dearest first."""
    columns = (
        Column("kind", _("Kind")),
        Column("name", _("Name")),
        Column("detail", _("Instance type")),
        Column("n", _("Number")),
        Column("seconds", _("Billable time"), "s"),
        Column("amount", _("Cost"), costs.currency),
        Column("currency", _("Currency")),
        Column("last_at", _("Last")),
    )
    rows = (
        (
            one.kind.value,
            one.name,
            one.detail,
            one.n,
            round(one.cost.seconds, 3),
            None if one.cost.amount is None else round(float(one.cost.amount), 9),
            one.cost.currency,
            f"{one.last_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        )
        for one in costs.spent
    )
    return ResultTable(columns, tuple(tuple(Cell(value) for value in row) for row in rows))
