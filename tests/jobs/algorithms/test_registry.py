"""The registry of algorithms."""

from __future__ import annotations

import pytest

from jobs.algorithms.registry import ALGORITHMS, algorithm_get, algorithm_list
from mlplatform.core.errors import NotFound


def test_every_algorithm_has_the_name_under_which_it_is_registered():
    assert [spec.name for spec in algorithm_list()] == list(ALGORITHMS)


def test_an_unknown_algorithm_is_not_found_and_the_nearest_name_is_offered():
    with pytest.raises(NotFound, match="did you mean 'knn'"):
        algorithm_get("kn")


def test_an_unknown_algorithm_unlike_any_other_gets_the_list():
    with pytest.raises(NotFound, match="there are knn"):
        algorithm_get("zzzzzzzz")
