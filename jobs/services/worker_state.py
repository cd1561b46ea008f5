"""What a worker process knows of itself: its name, and whether it is about to end."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class WorkerState:
    """One per process; `shutdown` is set when the process is asked to end, and every attempt in it sees that."""

    name: str
    _shutdown: threading.Event = field(default_factory=threading.Event)

    def shut_down(self) -> None:
        self._shutdown.set()

    def shutting_down(self) -> bool:
        return self._shutdown.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Waits until asked to end, at most so long; True when asked."""
        return self._shutdown.wait(timeout_s)


_STATE = WorkerState(name=f"{socket.gethostname()}-{os.getpid()}")


def worker_state() -> WorkerState:
    """The state of this process."""
    return _STATE
