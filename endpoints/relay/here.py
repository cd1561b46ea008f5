"""Whether a gateway runs on this machine. In a module of its own: asking must not cost an event loop."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

GATEWAYS: Final = Path("runs") / "runs.sock"
"""A gateway's own socket of runs, in the folder of sockets."""


def gateway_is_here(folder: Path) -> bool:
    """Whether a gateway serves its socket of runs in this folder of sockets."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(folder / GATEWAYS))
        except BlockingIOError:  # its queue of waiting connections is full
            return True
        except OSError:
            return False
    return True
