"""Prices and amounts: the sheet over what is shipped, and sums that lose nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.instance_types import instance_type_get
from jobs.pricing import (
    SERVERLESS,
    Cost,
    Price,
    cost_of,
    cost_sum,
    prices_check,
    prices_from,
    prices_shipped,
)
from mlplatform.core.errors import InvalidRequest

amounts = st.decimals(min_value=0, max_value=1000, places=6)


def test_what_the_sheet_does_not_name_costs_what_is_shipped() -> None:
    prices = prices_from(currency="JPY", prices={"ml.c5.xlarge": "31.5", "ml.m5.large": "no number"})
    assert prices.of("ml.c5.xlarge") == Price(Decimal("31.5"), "JPY")
    assert prices.of("ml.m5.large").per_hour == Decimal("0.115")
    assert prices.of("local.cpu").per_hour == 0
    assert prices.of("ml.gone.large").per_hour == 0
    assert prices.priced(instance_type_get("ml.c5.xlarge")).price_per_hour == 31.5


def test_memory_is_paid_by_the_gigabyte_and_second() -> None:
    prices = prices_from(currency="USD", prices={SERVERLESS: "0.00002"})
    cost = cost_of(seconds=10, price=prices.of_memory(6144))
    assert cost.amount == Decimal("0.0012")  # 6 GB × 10 s × 0.00002


@given(st.lists(amounts, max_size=30))
def test_a_sum_is_exact(parts: list[Decimal]) -> None:
    total = cost_sum((Cost(1.0, part, "USD") for part in parts), currency="USD")
    assert total == Cost(float(len(parts)), sum(parts, Decimal(0)), "USD")


def test_currencies_are_not_added() -> None:
    total = cost_sum([Cost(1.0, Decimal(1), "USD"), Cost(2.0, Decimal(3), "JPY")], currency="USD")
    assert total == Cost(3.0, None, "")
    assert (total + Cost(1.0, Decimal(1), "USD")).amount is None
    # What cost nothing has no say in the currency.
    assert cost_sum([Cost(0.0, Decimal(0), "JPY"), Cost(2.0, Decimal(3), "USD")], currency="USD").amount == 3


@pytest.mark.parametrize("price", ["-1", "nan", "inf", "", "1e7", "0.0000001", "１e-9x", "1,5"])
def test_what_is_no_price_is_refused_with_what_is(price: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prices_check(currency="USD", prices={"ml.m5.large": price})
    [error] = refused.value.errors
    assert error.field == "prices.ml.m5.large"
    assert "0 to 1,000,000" in error.message


def test_an_hour_of_the_dearest_memory_fits_into_a_row() -> None:
    with pytest.raises(InvalidRequest, match="0 to 1,000 "):
        prices_check(currency="USD", prices={SERVERLESS: "1000.5"})
    dearest = prices_from(currency="USD", prices={SERVERLESS: "1000"}).of_memory(6144).per_hour
    assert dearest == 21_600_000 and dearest < 10 ** (14 - 6)
    assert prices_from(currency="USD", prices={SERVERLESS: "5000"}).serverless_gb_s == Decimal("0.00002")


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        prices_check(currency="usd", prices={"ml.none": "1", "local.cpu": "x"})
    assert [error.field for error in refused.value.errors] == [
        "currency",
        "prices.ml.none",
        "prices.local.cpu",
    ]
    assert "ml.c5.xlarge" in refused.value.errors[1].message


@given(st.dictionaries(st.sampled_from(list(prices_shipped())), amounts))
def test_what_is_kept_is_read_again(prices: dict[str, Decimal]) -> None:
    kept = prices_check(currency="EUR", prices={item: str(price) for item, price in prices.items()})
    read = prices_from(currency="EUR", prices=kept)
    for item, price in prices.items():
        assert (read.serverless_gb_s if item == SERVERLESS else read.of(item).per_hour) == price
