"""How long the two ends of a relay wait for one another, and how soon they notice that a machine is gone."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

CONNECT_S: Final = 3.0
"""From the first packet to the proof, for a caller; a listener waits so long for one who has not proved himself."""
_UNHEARD_MS: Final = 4000
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))


def tcp_tune(sock: socket.socket) -> None:
    """A machine that vanished says nothing: its connections end within a few seconds, busy or idle."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)
