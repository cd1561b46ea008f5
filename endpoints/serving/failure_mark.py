"""How a model server begins the line that says in the user's terms why its model cannot be loaded. Imports nothing."""

from __future__ import annotations

from typing import Final

FAILURE_MARK: Final = "[model server] "
