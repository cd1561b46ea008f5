"""Whether a platform has been started with the data directory, for commands that are of no use before. Django-free."""

from __future__ import annotations

from mlplatform.core.env import data_dir
from mlplatform.core.startup.processes import is_first_start


def not_started() -> str:
    """The one line that refuses such a command."""
    return f"no platform has been started with data directory {data_dir()}; set MLPLATFORM_DATA_DIR"


def started_check() -> None:
    """Before any setting is read, since a key would be left in a directory that was never meant. Raises SystemExit."""
    if is_first_start(data_dir()):
        raise SystemExit(f"mlplatform: {not_started()}")
