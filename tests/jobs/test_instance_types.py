from __future__ import annotations

import pytest

from jobs.instance_types import instance_type_get, instance_type_list, instance_types_of, queues_read
from mlplatform.core.errors import InvalidRequest


def test_every_type_says_what_it_has_and_costs() -> None:
    for instance_type in instance_type_list():
        assert instance_type_get(instance_type.name) is instance_type
        assert instance_type.vcpus >= 1
        assert instance_type.memory_mb >= 512
        assert instance_type.limit >= 1
        assert (instance_type.queue == "gpu") == (instance_type.gpus > 0)
        assert (instance_type.price_per_hour == 0) == instance_type.name.startswith("local.")


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match=r"'ml\.x'.*local\.cpu.*ml\.g5\.xlarge"):
        instance_type_get("ml.x")


def test_a_queue_has_the_types_that_need_it() -> None:
    assert "ml.p2.xlarge" in instance_types_of(["gpu"]) and "local.cpu" not in instance_types_of(["gpu"])
    assert len(instance_types_of(["cpu", "gpu"])) == len(instance_type_list())
    assert instance_types_of([]) == []


def test_queues_are_those_that_a_type_needs() -> None:
    assert queues_read(" gpu, cpu,gpu") == ["gpu", "cpu"]
    for text in ("", ",", "cpu,tpu"):
        with pytest.raises(ValueError, match="use one or more of cpu, gpu"):
            queues_read(text)
