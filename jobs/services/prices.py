"""Changing the price sheet. An edition is never changed: what it priced stays explained."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from jobs.models import PriceSheet
from jobs.pricing import Price, prices_check
from jobs.selectors.prices import price_sheet, prices_now
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.people.access import operator_require


def price_sheet_update(*, user: User, currency: str, prices: Mapping[str, str], note: str = "") -> PriceSheet:
    """A new edition of the sheet, which holds from now on: what has ended keeps its price.

    Args:
        prices: Item (an instance type, or `serverless`) to price; items that are not named cost what is shipped.

    Raises:
        InvalidRequest: a currency or a price that is none, with every field that is wrong.
        AccessDenied: the user is no operator.
    """
    operator_require(user)
    kept = prices_check(currency=currency.strip(), prices=prices)
    with transaction.atomic():
        before = price_sheet()
        sheet = PriceSheet.objects.create(
            currency=currency.strip(),
            prices=kept,
            note=note.strip()[:200],
            created_by=user,
            created_at=clock.now(),
        )
        changed = sorted(
            item
            for item in {*kept, *(before.prices if before else {})}
            if kept.get(item) != (before.prices.get(item) if before else None)
        )
        audit_record(
            action="price_sheet.update",
            target=sheet.currency,
            user=user,
            detail={"changed": {item: kept.get(item, "shipped") for item in changed}},
        )
    return sheet


def price_of(instance_type: str) -> Price:
    """The price of an hour of the type, now; what a row keeps when it ends."""
    return prices_now().of(instance_type)
