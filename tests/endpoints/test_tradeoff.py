"""The Pareto front and the cheapest that is good enough: by hand, and for any points."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.tradeoff import Point, cheapest, cost_per_million_rows, pareto_front

EXACT = Point("exact", 0.97, 5.0, 0.204)
FAST = Point("fast", 0.95, 1.0, 0.204)
WORSE = Point("worse", 0.94, 2.0, 0.204)
DEAR = Point("dear", 0.97, 0.8, 1.125)
POINTS = [EXACT, FAST, WORSE, DEAR]
numbers = st.integers(-3, 3).map(float)
any_points = st.lists(st.builds(Point, st.just("p"), numbers, numbers, numbers), max_size=12)


def dominates(one: Point, other: Point) -> bool:
    pairs = [
        (one.quality, other.quality),
        (-one.latency_ms, -other.latency_ms),
        (-one.cost, -other.cost),
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def test_the_front_leaves_out_what_another_beats_in_every_respect() -> None:
    assert pareto_front(POINTS) == [EXACT, FAST, DEAR]
    assert pareto_front([]) == []
    assert pareto_front([EXACT, EXACT]) == [EXACT, EXACT], "neither is better"


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_what_is_not_measured_is_left_out(missing: float) -> None:
    for place in ("quality", "latency_ms", "cost"):
        odd = Point(**{"name": "odd", "quality": 2.0, "latency_ms": 0.0, "cost": 0.0, place: missing})
        assert pareto_front([odd, FAST]) == [FAST]
        assert cheapest([odd]) is None


@given(any_points)
def test_nobody_on_the_front_is_dominated_and_everybody_else_is_by_somebody_on_it(
    points: list[Point],
) -> None:
    front = pareto_front(points)
    for point in points:
        beaten = [other for other in front if dominates(other, point)]
        assert bool(beaten) != (point in front)


@given(any_points, st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(points: list[Point], random: object) -> None:
    mixed = list(points)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    as_set = {(p.quality, p.latency_ms, p.cost) for p in pareto_front(points)}
    assert as_set == {(p.quality, p.latency_ms, p.cost) for p in pareto_front(mixed)}


def test_the_cheapest_is_good_and_fast_enough_and_of_equals_the_best() -> None:
    assert cheapest(POINTS) == EXACT
    assert cheapest(POINTS, latency_most=4.9) == FAST
    assert cheapest(POINTS, quality_least=0.96, latency_most=4.9) == DEAR
    assert cheapest(POINTS, quality_least=0.98) is None
    assert cheapest(POINTS, latency_most=1.0) == FAST, "the limit itself is allowed"


@given(any_points, numbers, numbers)
def test_the_cheapest_keeps_the_limits_and_nobody_who_does_is_cheaper(
    points: list[Point], quality: float, latency: float
) -> None:
    found = cheapest(points, quality_least=quality, latency_most=latency)
    enough = [p for p in points if p.quality >= quality and p.latency_ms <= latency]
    assert (found is None) == (not enough)
    if found is not None:
        assert found in enough and found.cost == min(p.cost for p in enough)
        assert found in pareto_front(enough), "nobody good enough is better in every respect"


def test_a_million_rows_cost_the_time_they_take() -> None:
    # 581 rows in 59 ms: a million in 101.55 s, at 0.204 USD per hour.
    cost = cost_per_million_rows(price_per_hour=0.204, batch_mean_ms=59.0, batch_size=581)
    assert cost == pytest.approx(0.204 / 3600 * (0.059 / 581 * 1e6))
    assert cost == pytest.approx(0.005754, rel=1e-3)
    assert cost_per_million_rows(price_per_hour=0.0, batch_mean_ms=59.0, batch_size=581) == 0.0
    for batch_ms, size in ((59.0, 0), (0.0, 581), (math.nan, 581)):
        assert cost_per_million_rows(price_per_hour=1.0, batch_mean_ms=batch_ms, batch_size=size) is None
