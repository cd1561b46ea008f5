"""`python -m mlplatform.core.startup.answers web.sock`: whether somebody takes connections on a socket of this machine.

The exit code says it: for health checks of containers, which must cost next to nothing. Django-free.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from mlplatform.core.env import runtime_dir

_WITHIN_S = 3.0


def main(arguments: Sequence[str]) -> int:
    """0 when every socket that is named, in the data directory's folder of sockets, takes connections; else 1."""
    return 0 if arguments and all(_answers(name) for name in arguments) else 1


def _answers(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_WITHIN_S)
        try:
            connection.connect(str(runtime_dir() / name))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
