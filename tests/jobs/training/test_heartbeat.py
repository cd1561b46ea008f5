"""A worker's heartbeat goes on whatever goes wrong beside it."""

from __future__ import annotations

import threading

import pytest

from jobs.management.commands import worker as command
from jobs.services.worker_state import WorkerState
from mlplatform.core.models import Node
from tests.polling import wait_until


@pytest.mark.django_db(transaction=True)
def test_a_fault_while_clearing_leftovers_does_not_stop_the_heart(
    worker: WorkerState, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault() -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(command, "leftovers_clear", fault)
    monkeypatch.setattr(command, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(command, "CLEAR_EVERY_BEATS", 1)
    beats = threading.Thread(target=command._beat, args=(worker, ["cpu"], 1))
    beats.start()
    try:
        wait_until(lambda: caplog.text.count("RuntimeError: not foreseen") > 1, what="two faults, logged")
        assert beats.is_alive()
        assert Node.objects.filter(name=worker.name).exists()
    finally:
        worker.shut_down()
        beats.join()
    assert not Node.objects.exists()
