"""Whether the public port is free, said before anything is started. Django-free."""

from __future__ import annotations

import errno
import socket

from mlplatform.core.startup.options import Options, StartRefused


def port_check(options: Options) -> None:
    """Raises StartRefused when the platform cannot listen there; the message says who does, if that can be
    seen.
    """
    try:
        found = socket.getaddrinfo(options.host or None, options.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise StartRefused(
            f"host '{options.host}' is not known: {error.strerror} (--host, MLPLATFORM_HOST)"
        ) from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise StartRefused(_reason(options, error)) from None


def _reason(options: Options, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {options.port} on {options.host} is in use{_holder(options.port)}. Choose another one: "
            f'make run ARGS="--port {_other(options.port)}", or MLPLATFORM_PORT={_other(options.port)}'
        )
    if error.errno == errno.EACCES:
        return f"port {options.port} needs more rights than this user has: one from 1024 to 65535 (--port)"
    return f"cannot listen on {options.host}, port {options.port}: {error.strerror} (--host, --port)"


def _other(port: int) -> int:
    return port + 1 if port < 65535 else 8001


def _holder(port: int) -> str:
    import psutil  # only for this message

    try:
        for connection in psutil.net_connections("tcp"):
            is_listening = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if is_listening and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return ""
