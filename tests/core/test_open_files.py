from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from mlplatform.core.open_files import open_files_allow


@pytest.fixture(autouse=True)
def hard() -> Iterator[int]:
    """The hard limit; the soft one is 300 and is restored."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_low_limit_is_raised_and_a_high_one_is_left() -> None:
    assert open_files_allow(400) == _soft() == 400
    assert open_files_allow(350) == _soft() == 400


def test_no_more_than_the_machine_allows(hard: int) -> None:
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this machine allows any number")
    assert open_files_allow(hard + 1) == _soft() == hard
