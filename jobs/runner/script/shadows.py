"""Whether a script brings a module of a name that is imported already, so that it needs a process of its own.

In a fresh process its own `queue.py` or `pandas/` would win over the installed one, whoever imports it. Django-free.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SUFFIXES: Final = (".py", ".pyc", ".so")
_OURS: Final = frozenset({"jobs", "mlplatform", "endpoints", "monitoring", "__main__"})
"""Forgotten before a script runs, so that its own are found."""


def is_shadowing(*folders: Path) -> bool:
    """Whether one of these folders, from which a script imports, has a module of such a name."""
    imported = {name.partition(".")[0] for name in sys.modules} - _OURS
    return any(name in imported for folder in folders for name in _module_names(folder))


def _module_names(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir() or path.suffix in _SUFFIXES:
            yield path.name.partition(".")[0]
