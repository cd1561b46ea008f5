"""Prices and what is paid for with them. Pure and Django-free.

An hour of an instance, or a gigabyte of memory for a second where nothing is kept running between requests. Amounts are
`Decimal`, so that a thousand jobs of a thousandth each add up to what they should.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final

from jobs.instance_types import InstanceType, instance_type_list
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.text import text as _

SERVERLESS: Final = "serverless"
"""The item of the sheet whose price is of a gigabyte of memory for a second."""
SERVERLESS_SHIPPED: Final = Decimal("0.00002")
CURRENCY_SHIPPED: Final = "USD"
PRICE_MAX: Final = Decimal(1_000_000)
SERVERLESS_MAX: Final = Decimal(1_000)
"""Of a gigabyte for a second: an hour of the largest model server is still an amount that a row can hold."""
DIGITS_MAX: Final = 6
_HOUR_S: Final = 3600
_GIB_MB: Final = 1024


@dataclass(frozen=True)
class Price:
    """Of an hour."""

    per_hour: Decimal
    currency: str


@dataclass(frozen=True)
class Cost:
    """An amount, and the seconds it is for. `amount` is None where a price is not known any more, or currencies mix."""

    seconds: float
    amount: Decimal | None
    currency: str

    def __add__(self, other: Cost) -> Cost:
        if not other.seconds and not other.amount:
            return self
        if not self.seconds and not self.amount:
            return other
        same = self.currency == other.currency and None not in {self.amount, other.amount}
        amount = (
            self.amount + other.amount
            if same and self.amount is not None and other.amount is not None
            else None
        )
        return Cost(self.seconds + other.seconds, amount, self.currency if same else "")


@dataclass(frozen=True)
class Prices:
    """The sheet that holds: what it says, and what the platform ships for the rest."""

    currency: str
    per_hour: Mapping[str, Decimal]
    serverless_gb_s: Decimal

    def of(self, instance_type: str) -> Price:
        """The price of an hour; 0 of a type that there is not (any more)."""
        return Price(self.per_hour.get(instance_type, Decimal(0)), self.currency)

    def of_memory(self, memory_mb: int) -> Price:
        """The price of an hour of so much memory, as it is billed while requests are answered."""
        return Price(self.serverless_gb_s * memory_mb / _GIB_MB * _HOUR_S, self.currency)

    def priced(self, instance_type: InstanceType) -> InstanceType:
        """The type with its price here."""
        return replace(instance_type, price_per_hour=float(self.of(instance_type.name).per_hour))


def prices_from(*, currency: str, prices: Mapping[str, str]) -> Prices:
    """The sheet over the shipped prices; what of it cannot be read holds as shipped."""
    shipped = {kind.name: Decimal(str(kind.price_per_hour)) for kind in instance_type_list()}
    given = {name: price for name, text in prices.items() if (price := _read(text, _most(name))) is not None}
    serverless = given.pop(SERVERLESS, SERVERLESS_SHIPPED)
    return Prices(currency, shipped | given, serverless)


def prices_shipped() -> dict[str, Decimal]:
    """Item to price as the platform ships it, in the order of the sheet."""
    shipped = {kind.name: Decimal(f"{kind.price_per_hour:g}") for kind in instance_type_list()}
    return shipped | {SERVERLESS: SERVERLESS_SHIPPED}


def prices_check(*, currency: str, prices: Mapping[str, str]) -> dict[str, str]:
    """The prices as they are kept. Raises InvalidRequest with everything that is wrong."""
    errors = []
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        message = _(
            "{value} is not a currency; use the three letters of ISO 4217, as USD or JPY",
            value=repr(currency[:20]),
        )
        errors.append(FieldError("currency", message))
    known = prices_shipped()
    kept: dict[str, str] = {}
    for name, text in prices.items():
        if name not in known:
            message = _("is no item of the sheet; there are {names}", names=", ".join(known))
            errors.append(FieldError(f"prices.{name[:60]}", message))
            continue
        price = _read(text, _most(name))
        if price is None:
            message = _(
                "{value} is not a price; use a number from 0 to {maximum} with at most {digits} digits after the point",
                value=repr(str(text)[:40]),
                maximum=f"{_most(name):,}",
                digits=DIGITS_MAX,
            )
            errors.append(FieldError(f"prices.{name}", message))
        else:
            kept[name] = format(price.normalize(), "f")
    if errors:
        raise InvalidRequest.for_fields(errors)
    return kept


def cost_of(*, seconds: float, price: Price) -> Cost:
    """`seconds` / 3600 × the price of an hour."""
    return Cost(seconds, Decimal(str(seconds)) * price.per_hour / _HOUR_S, price.currency)


def cost_sum(costs: Iterable[Cost], *, currency: str) -> Cost:
    """All together; 0 in `currency` where there is none."""
    total = Cost(0.0, Decimal(0), currency)
    for cost in costs:
        total = total + cost
    return total


def _most(item: str) -> Decimal:
    return SERVERLESS_MAX if item == SERVERLESS else PRICE_MAX


def _read(text: object, most: Decimal) -> Decimal | None:
    try:
        price = Decimal(str(text).strip())
    except InvalidOperation:
        return None
    exponent = price.as_tuple().exponent
    if not price.is_finite() or not 0 <= price <= most:
        return None
    return price if isinstance(exponent, int) and -exponent <= DIGITS_MAX else None
