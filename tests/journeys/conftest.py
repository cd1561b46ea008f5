"""What the journeys walk on: the running platform's project `default`, and a project of somebody else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.journeys.street import Street
from tests.live import LivePlatform
from tests.polling import wait_until

_CHARLIE = """
from django.contrib.auth.models import User
from mlplatform.core.people.access import project_create
project_create(user=User.objects.create_user("charlie", password="a long password"), name="gamma")
"""


@pytest.fixture(scope="session")
def street(platform: LivePlatform) -> Street:
    return Street(platform)


@pytest.fixture(scope="session")
def charlie(platform: LivePlatform) -> Street:
    """Charlie administers a project of his own and is in no other."""
    platform.manage("shell", "-c", _CHARLIE)
    return Street(platform, client=platform.client_of(user="charlie", project="gamma"), project="gamma")


@pytest.fixture
def nothing_left(street: Street) -> Iterator[None]:
    """Fails a test after which there is one row, object or temporary file more than before, or less.

    The answer may be here a moment before the last temporary file is closed, and what is deleted goes from the store
    at the latest with the scheduler's next sweep: no tombstone may be left either.
    """
    wait_until(street.at_rest, timeout_s=30.0, what="the end of what earlier tests began")
    before = street.traces()
    yield
    with contextlib.suppress(AssertionError):
        wait_until(lambda: street.traces() == before, timeout_s=15.0)
    assert street.traces() == before
