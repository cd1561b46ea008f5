from __future__ import annotations

import pytest

from jobs.instance_types import instance_type_get, instance_type_list
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
