"""What a relay leads to on its machine, by the name that is asked for. There is nothing else that it reaches.

`replica/<uid>` is the socket of a model server, `runs` the gateway's socket of runs, which believes nobody but who has
the token of a run. The gateway's trusted socket, Redis and the web process have no name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from endpoints.relay.here import GATEWAYS
from endpoints.server_spec import socket_folder

RUNS: Final = "runs"
_REPLICA: Final = re.compile(r"replica/([0-9a-zA-Z]{16,32})")


def replica_name(uid: str) -> str:
    return f"replica/{uid}"


def target_path(name: str, *, folder: Path) -> Path | None:
    """The socket of that name; None where there is no such name.

    Args:
        folder: The folder of the machine's sockets (`runtime_dir`).
    """
    if name == RUNS:
        return folder / GATEWAYS  # the gateway's own, never one that leads to another relay
    found = _REPLICA.fullmatch(name)
    return socket_folder(folder / "replicas", uid=found[1]) / "model.sock" if found else None
