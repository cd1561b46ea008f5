"""In a worker on a machine without a gateway: its socket of runs, which leads to the gateways of other machines.

So evaluations, runs of tables and asynchronous requests work from there. Registered when Django starts; the bytes are
passed on by `endpoints.relay.forwarder`, on a thread that exists only where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.services.worker_looks import worker_look
from mlplatform.core.env import runtime_dir

if TYPE_CHECKING:
    from endpoints.relay.forwarder import RunsForwarder


class RunsElsewhere:
    """Tells the forwarder which gateways there are, and starts it when one is needed for the first time."""

    def __init__(self) -> None:
        self._forwarder: RunsForwarder | None = None

    def __call__(self) -> None:
        from endpoints.relay.here import gateway_is_here

        folder = runtime_dir()
        if self._forwarder is None and gateway_is_here(folder):
            return
        from endpoints.services.relay import gateway_relays, relay_key

        gateways = gateway_relays()
        if self._forwarder is None and gateways:
            from endpoints.relay.forwarder import RunsForwarder
            from endpoints.relay.running import LoopThread

            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._forwarder = RunsForwarder(key=relay_key(), folder=folder)
            self._forwarder.lead_to(gateways)
            LoopThread("runs", self._forwarder.run).start()
        elif self._forwarder is not None:
            self._forwarder.lead_to(gateways)


worker_look(RunsElsewhere())
