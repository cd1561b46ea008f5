"""The amounts of a time, by kind of spending and by day, and what of it is listed. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from endpoints.selectors.costs import DAYS_MAX, Spender, Spent
from jobs.pricing import Cost, cost_sum


@dataclass(frozen=True)
class Wanted:
    """What is listed: names with `search` in them (its case folded), one kind or all (""), `most` of them or all."""

    search: str
    kind: str
    most: int | None

    def wants(self, kind: Spender) -> bool:
        return self.kind in ("", kind.value)

    def has(self, one: Spent) -> bool:
        return self.search in one.name.casefold() and self.wants(one.kind)


class CostLedger:
    """Amounts from `since` to before `until` by kind, and by day and kind. Those of another currency, from before it
    was changed, cannot be added to a day.

    Attributes:
        n_unlisted: How many were added up and are not listed one by one.
    """

    def __init__(self, since: datetime, until: datetime, currency: str) -> None:
        self.since, self.until, self._currency = since, until, currency
        self._amounts: dict[str, dict[Spender, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        self.kinds = {kind: cost_sum((), currency=currency) for kind in Spender}
        self.n_unlisted = 0

    def add(self, at: datetime, kind: Spender, cost: Cost) -> None:
        self.kinds[kind] = self.kinds[kind] + cost
        if cost.currency == self._currency and cost.amount is not None:
            self._amounts[f"{at.astimezone(UTC):%Y-%m-%d}"][kind] += cost.amount

    def filled(self) -> dict[str, dict[Spender, Decimal]]:
        """By day (UTC), without gaps."""
        n_days = min(DAYS_MAX, max(1, -(-(self.until - self.since) // timedelta(days=1))))
        days = [f"{self.since + timedelta(days=index):%Y-%m-%d}" for index in range(n_days)]
        return {day: {kind: self._amounts[day][kind] for kind in Spender} for day in days}
