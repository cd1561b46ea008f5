"""Who holds a lease: the worker's name, its process and a random word, so that each claim has an owner of its own.

Called by whoever claims, and by the sweeper, which need not wait for the lease of a process that is gone.
"""

from __future__ import annotations

import secrets
from typing import Final

from mlplatform.core.process_identity import process_identity, process_is_gone

_NAME_MAX: Final = 120


def owner_new(*, worker_name: str) -> str:
    """An owner that was never one before, of this process."""
    return f"{worker_name[:_NAME_MAX]}:{process_identity()}:{secrets.token_hex(4)}"


def owner_is_gone(*, owner: str) -> bool:
    """Whether the process that claimed has certainly ended, so that it can neither write nor follow a job any more."""
    parts = owner.rsplit(":", 2)
    return len(parts) == 3 and process_is_gone(parts[1])
