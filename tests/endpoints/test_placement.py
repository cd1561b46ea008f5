from __future__ import annotations

from collections import Counter

from endpoints.placement import HostLoad, Waiting, replicas_for_others


def _hosts(**variants: dict[int, int]) -> dict[str, HostLoad]:
    return {name: HostLoad(name, ("cpu",), 10, Counter(had)) for name, had in variants.items()}


def _taken(
    waiting: list[Waiting], make: dict[str, dict[int, int]], **queues: tuple[str, ...]
) -> dict[int, str]:
    """Who takes which, as each host finds by itself; nobody may take one twice."""
    taken: dict[int, str] = {}
    for name in make:
        hosts = _hosts(**make)
        for each, served in queues.items():
            hosts[each].queues = served
        for replica in waiting:
            if replica.pk not in replicas_for_others(name, waiting=waiting, hosts=_hosts_again(hosts)):
                assert replica.pk not in taken
                taken[replica.pk] = name
    return taken


def _hosts_again(hosts: dict[str, HostLoad]) -> dict[str, HostLoad]:
    return {
        name: HostLoad(name, load.queues, load.capacity, Counter(load.variants))
        for name, load in hosts.items()
    }


def _two(queue: str = "cpu") -> list[Waiting]:
    return [Waiting(1, 7, queue), Waiting(2, 7, queue)]


def test_two_replicas_of_a_variant_go_to_two_hosts() -> None:
    assert _taken(_two(), {"a": {}, "b": {}}) == {1: "a", 2: "b"}


def test_the_host_without_one_of_the_variant_takes_the_next_however_busy_it_is() -> None:
    assert _taken([Waiting(1, 7, "cpu")], {"a": {7: 1}, "b": {8: 5}}) == {1: "b"}


def test_of_two_without_one_the_idler_takes_it() -> None:
    assert _taken([Waiting(1, 7, "cpu")], {"a": {8: 2}, "b": {8: 1}}) == {1: "b"}


def test_only_hosts_that_serve_the_queue_are_asked() -> None:
    assert _taken(_two("gpu"), {"a": {}, "b": {}}, b=("cpu", "gpu")) == {1: "b", 2: "b"}


def test_a_full_host_leaves_it_to_others_and_one_alone_takes_all() -> None:
    assert _taken(_two(), {"a": {9: 10}, "b": {9: 3}}) == {1: "b", 2: "b"}
    assert _taken(_two(), {"a": {}}) == {1: "a", 2: "a"}


def test_one_that_nobody_can_take_is_left_to_nobody() -> None:
    assert not replicas_for_others("a", waiting=_two("gpu"), hosts=_hosts(a={}, b={}))
