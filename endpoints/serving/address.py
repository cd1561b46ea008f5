"""Where a server listens: a unix socket (`unix:/path`) or TCP (`tcp:host:port`).

Model server, gateway and host write addresses in this one form; nothing else parses them.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket when `path` is set, otherwise TCP; with `relay`, what the relay that listens there calls so."""

    path: str = ""
    host: str = ""
    port: int = 0
    relay: str = ""

    def __str__(self) -> str:
        if self.relay:
            return f"relay:{self.host}:{self.port}/{self.relay}"
        return f"unix:{self.path}" if self.path else f"tcp:{self.host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """Of TCP sockets there."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def address_parse(text: str) -> Address:
    """`unix:/path`, a bare path, or `tcp:host:port` as an Address.

    Raises:
        ValueError: The text is none of these.
    """
    if text.startswith("tcp:"):
        host, _, port = text[4:].rpartition(":")
        if host and port.isascii() and port.isdigit() and int(port) < 65536:
            return Address(host=host.strip("[]"), port=int(port))
    else:
        path = text.removeprefix("unix:")
        if path.startswith("/"):
            return Address(path=path)
    raise ValueError(f"address {text!r} is neither unix:/path nor tcp:host:port")


def socket_listen(address: Address, *, mode: int = 0o600) -> socket.socket:
    """A bound, listening socket. A unix socket file that nobody serves any more is replaced.

    Args:
        mode: Permissions of a unix socket file, set before it can be connected to.

    Raises:
        OSError: The port or the path is taken by a living server.
    """
    sock = _bind_unix(address.path, mode) if address.path else _bind_tcp(address)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


@contextmanager
def socket_path(path: str) -> Iterator[str]:
    """A path to connect to, of the very socket that is at `path`: a link there leads nowhere.

    A model server may write the folder of its own socket. With a link in the place of it, the gateway and the host,
    who reach every socket of the platform, would be led to another project's.

    Raises:
        OSError: there is none, or it is no socket.
    """
    if not hasattr(os, "O_PATH"):  # no Linux, and so no sandbox to get out of
        yield path
        return
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), path)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _bind_tcp(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: str, mode: int) -> socket.socket:
    if _is_served(path):
        raise OSError(f"{path} is served by another process")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(path)
        except BlockingIOError:  # its queue of waiting connections is full
            return True
        except OSError:
            return False
    return True
