"""Messages that nobody takes do not fill the broker: beyond a thousand none is sent, and none is missed."""

from __future__ import annotations

import subprocess

import pytest
from celery import current_app

from mlplatform.core.dispatch import WAITING_MAX, dispatch_now

pytestmark = pytest.mark.django_db


def test_a_queue_that_nobody_serves_ends_at_a_thousand_messages(redis: subprocess.Popen[bytes]) -> None:
    sent = [
        dispatch_now("nobody.home", object_id=number, queue="unserved") for number in range(WAITING_MAX + 50)
    ]
    assert sent == [True] * WAITING_MAX + [False] * 50
    with current_app.connection_for_read() as connection:
        client = connection.default_channel.client
        assert client.llen("unserved") == WAITING_MAX
        client.delete("unserved")
    assert dispatch_now("nobody.home", object_id=1, queue="unserved"), "as soon as there is room again"
