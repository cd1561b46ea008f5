"""Wakes a process of this machine that waits for a row to change: an empty datagram on a unix socket. Django-free.

Nothing is said with it and a lost one is no loss: whoever is woken looks at the rows, as it does without in a moment.
Gateways wake the host when requests wait, hosts wake the gateway when a replica answers, and whoever changes what
endpoints are to be wakes both.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from mlplatform.core.env import runtime_dir

_HOST = "host.wake"
_GATEWAY = "gateway.wake"


def host_wake() -> None:
    """Has the host of this machine look at its rows now, if there is one."""
    _send(runtime_dir() / _HOST)


def gateway_wake() -> None:
    """Has the gateway of this machine load its routes now, if there is one."""
    _send(runtime_dir() / _GATEWAY)


def host_wake_socket() -> socket.socket:
    """Where the host listens. A socket that an earlier one left is replaced."""
    return _listen(runtime_dir() / _HOST)


def gateway_wake_socket() -> socket.socket:
    return _listen(runtime_dir() / _GATEWAY)


def _send(place: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setblocking(False)
        sender.sendto(b"", os.fspath(place))


def _listen(place: Path) -> socket.socket:
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mask = os.umask(0o177)
    try:
        listener.bind(os.fspath(place))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener
