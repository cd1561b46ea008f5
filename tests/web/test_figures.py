"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlplatform.web.templatetags import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(60.6, "60.60"), (41.0, "41.00"), (0.874, "0.8740"), (9.9996, "10.00"), (999.96, "1,000"), (1234.56, "1,235"),
     (12345.678, "12,346"), (2.7e-5, "2.700e-05"), (1.234e-4, "0.0001234"), (-0.25, "-0.2500"), (0.0, "0"),
     (1e13, "1.000e+13"), (float("inf"), "inf"), (3, "3.000")],
)  # fmt: skip
def test_values_below_one_another_have_the_same_digits(value: float, text: str) -> None:
    assert figures.fixed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (5872025, "5.6 MiB"), (3 * 1024**4, "3 TiB"),
     (102.4 * 1024, "102.4 KiB"), (None, "–")],
)  # fmt: skip
def test_sizes_have_binary_units_and_three_or_four_digits(value: Any, text: str) -> None:
    assert figures.bytes_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0421, "42 ms"), (1.25, "1.2 s"), (9.99, "10.0 s"), (59.6, "1 min 0 s"), (75.4, "1 min 15 s"),
     (3725, "1 h 2 min"), (200_000, "2 d 7 h"), (None, "–"), (-75, "−1 min 15 s")],
)  # fmt: skip
def test_durations_have_their_two_largest_units(value: Any, text: str) -> None:
    assert figures.duration_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.973684210526, "0.9737"), (3.14159265, "3.142"), (0.5, "0.5"), (0.0, "0"), (12345.678, "12,346"),
     (1234.56, "1,234.6"), (98765, "98,765"), (2.718e-05, "2.718e-05"), (-0.25, "-0.25"),
     (float("nan"), "nan"), (1000.0, "1,000")],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert figures.significant(value) == text


def test_a_number_that_lost_digits_has_all_of_them_on_hover() -> None:
    assert figures.number(0.973684210526) == '<span title="0.973684210526">0.9737</span>'
    assert figures.number(0.5) == "0.5"
    assert figures.number(12345) == "12,345"
    assert figures.number(None) == figures.number("") == "–"
    assert figures.number("<b>") == "<b>"


def test_shares_and_scores() -> None:
    assert figures.percent(0.97368421) == "97.37 %"
    assert figures.share_of(3, 4) == "75 %"
    assert figures.share_of(3, 0) == "–"
    assert figures.score(37 / 38) == "0.9737"


def test_seconds_since_counts_to_the_end_or_to_now() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    assert figures.seconds_since(start, start + timedelta(seconds=90)) == 90
    assert figures.seconds_since(None) is None
    assert (figures.seconds_since(start) or 0) > 0
