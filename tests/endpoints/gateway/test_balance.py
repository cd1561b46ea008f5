"""Turns between variants and replicas, without sockets."""

from __future__ import annotations

from collections import Counter
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.gateway.balance import Balancer, LiveRoute
from endpoints.gateway.routing import Route, RouteVariant, RoutingTable
from endpoints.serving.address import Address, address_parse
from endpoints.serving.answers import ValidationError
from mlplatform.core.errors import Throttled


def replicas(*names: str) -> tuple[Address, ...]:
    return tuple(Address(path=f"/run/{name}") for name in names)


def balancer(*variants: RouteVariant) -> tuple[Balancer, LiveRoute]:
    made = Balancer()
    made.adopt(table(*variants))
    route = made.route("p", "e")
    assert route is not None
    return made, route


def table(*variants: RouteVariant, version: int = 1) -> RoutingTable:
    return RoutingTable(version, (Route("p", "e", 1, "InService", variants),))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any))
def test_a_round_of_turns_has_each_variant_exactly_as_often_as_its_weight(weights: list[int]) -> None:
    variants = [RouteVariant(str(i), weight, replicas("r")) for i, weight in enumerate(weights)]
    _, route = balancer(*variants)
    turns = Counter(route.choose(None).name for _ in range(sum(weights)))
    assert turns == Counter({str(i): weight for i, weight in enumerate(weights) if weight})


def test_a_rare_variant_comes_in_the_middle_and_not_in_a_burst() -> None:
    _, route = balancer(RouteVariant("A", 9, replicas("a")), RouteVariant("B", 1, replicas("b")))
    turns = "".join(route.choose(None).name for _ in range(20))
    assert turns.count("B") == 2
    assert "A" * 10 not in turns
    assert "BB" not in turns


def test_turns_go_on_when_a_new_table_has_the_same_weights() -> None:
    made, route = balancer(RouteVariant("A", 1, replicas("a")), RouteVariant("B", 1, replicas("b")))
    first = route.choose(None).name
    made.adopt(table(RouteVariant("A", 1, replicas("a")), RouteVariant("B", 1, replicas("b")), version=2))
    again = made.route("p", "e")
    assert again is not None
    assert again.choose(None).name != first


def test_weights_that_are_all_zero_want_a_name() -> None:
    _, route = balancer(RouteVariant("A", 0, replicas("a")), RouteVariant("B", 0, replicas("b")))
    assert route.choose("B").name == "B"
    with pytest.raises(ValidationError, match="no variant has a weight above 0"):
        route.choose(None)


def test_the_replica_with_the_fewest_requests_in_hand_is_next() -> None:
    _, route = balancer(RouteVariant("A", 1, replicas("a", "b", "c")))
    variant = route.variants[0]
    picked = []
    for _ in range(6):
        replica = variant.pick(tried=(), n_outstanding_max=10)
        assert replica is not None
        replica.n_outstanding += 1
        picked.append(replica.address.path)
    assert Counter(picked) == {"/run/a": 2, "/run/b": 2, "/run/c": 2}
    variant.replicas[1].n_outstanding = 0
    free = variant.pick(tried=(), n_outstanding_max=10)
    assert free is variant.replicas[1]


def test_idle_replicas_take_turns() -> None:
    _, route = balancer(RouteVariant("A", 1, replicas("a", "b")))
    picked = [route.variants[0].pick(tried=(), n_outstanding_max=10) for _ in range(4)]
    assert [replica.address.path[-1] for replica in picked if replica] == ["a", "b", "a", "b"]


def test_a_replica_that_failed_rests_unless_all_do() -> None:
    _, route = balancer(RouteVariant("A", 1, replicas("a", "b")))
    a, b = route.variants[0].replicas
    a.failed(monotonic())
    assert {route.variants[0].pick(tried=(), n_outstanding_max=9) for _ in range(4)} == {b}
    b.failed(monotonic())
    assert route.variants[0].pick(tried=(), n_outstanding_max=9) in (a, b)
    a.succeeded()
    assert {route.variants[0].pick(tried=(), n_outstanding_max=9) for _ in range(4)} == {a}


def test_a_replica_that_goes_on_failing_rests_longer_each_time() -> None:
    _, route = balancer(RouteVariant("A", 1, replicas("a")))
    replica, now, pauses = route.variants[0].replicas[0], 100.0, []
    for _ in range(8):
        replica.failed(now)
        pauses.append(replica.resting_until - now)
        replica.failed(now)  # others that failed in the same moment do not count again
        now = replica.resting_until
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 8, 8]


def test_replicas_that_were_tried_are_not_picked_again() -> None:
    _, route = balancer(RouteVariant("A", 1, replicas("a", "b")))
    variant = route.variants[0]
    assert variant.pick(tried=[variant.replicas[0]], n_outstanding_max=9) is variant.replicas[1]
    assert variant.pick(tried=variant.replicas, n_outstanding_max=9) is None


def test_when_all_are_full_the_caller_is_throttled() -> None:
    _, route = balancer(RouteVariant("A", 1, replicas("a", "b")))
    for replica in route.variants[0].replicas:
        replica.n_outstanding = 5
    with pytest.raises(Throttled, match="5 requests are in hand for each of its 2 replicas"):
        route.variants[0].pick(tried=(), n_outstanding_max=5)


def test_what_is_known_of_a_replica_outlives_a_new_table() -> None:
    made, route = balancer(RouteVariant("A", 1, replicas("a")))
    route.variants[0].replicas[0].n_outstanding = 3
    made.adopt(table(RouteVariant("A", 1, replicas("a", "b")), version=2))
    assert [replica.n_outstanding for replica in made.replicas()] == [3, 0]
    made.adopt(RoutingTable(3))
    assert made.replicas() == []
    assert made.route("p", "e") is None


@pytest.mark.parametrize("text", ["unix:/run/a", "tcp:127.0.0.1:80", "tcp:::1:80"])
def test_addresses_read_as_they_are_written(text: str) -> None:
    assert str(address_parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "run/a", "unix:a", "tcp:host", "tcp::80", "tcp:host:99999", "tcp:host:x", "http://a"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither unix:/path nor tcp:host:port"):
        address_parse(text)
