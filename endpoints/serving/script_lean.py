"""Imports the frameworks that a script names, without those of their optional parts that it cannot be using.

xgboost imports scikit-learn and both it and catboost import pandas, only to be ready for who uses these: three quarters
of the time that a model server needs to start. What a script uses is told from its text, and doubt speaks against it:
whatever might hand over a data frame, use an estimator or unpickle one keeps everything as it is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from jobs.algorithms.lean_import import hidden
from jobs.algorithms.stand_ins import imported_later

_FRAMEWORKS: Final = ("xgboost", "catboost")
_UNSURE: Final = re.compile(
    r"sklearn|pandas|polars|DataFrame|pickle|joblib|dill|dask|XGB[A-Z]|shap\b|\bcv\(|import_module|__import__|\bexec\("
)
"""What a script may say that needs what would be left out."""
_TEXT_MAX_BYTES: Final = 1024 * 1024


def frameworks_import(script: Path, *, folder: Path) -> tuple[str, ...]:
    """Imports those that a script imports, if nothing speaks against it; the names of those that were.

    To be called before the script is imported, while no other thread imports anything, and not where the interpreter
    has packages of the script's own.

    Args:
        folder: Of the code: modules in it that the script imports count as the script.
    """
    named = _named(script, folder)
    wanted = [name for name in _FRAMEWORKS if name in named and name not in sys.modules]
    return tuple(name for name in wanted if _imported(name))


def _imported(name: str) -> bool:
    try:
        with imported_later("pandas") if name == "catboost" else hidden("pandas", "sklearn"):
            import_module(name)
    except Exception:  # the script's own import tells of it, with its line
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            del sys.modules[module]
        return False
    return True


def _named(script: Path, folder: Path) -> set[str]:
    """The top-level modules that are imported; none where the text says something that speaks against it."""
    waiting, seen, named = [script], {script}, set[str]()
    while waiting:
        imports = _imports(waiting.pop())
        if imports is None:
            return set()
        named |= imports
        local = [path for name in imports for path in _files(name, folder, script.parent) if path not in seen]
        seen.update(local)
        waiting += local
    return named


def _imports(path: Path) -> set[str] | None:
    try:
        if path.suffix != ".py" or path.stat().st_size > _TEXT_MAX_BYTES:
            return None
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError, RecursionError):
        return None
    if _UNSURE.search(text):
        return None
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                return None
            found.add(node.module.partition(".")[0])
    return found


def _files(name: str, *folders: Path) -> Iterator[Path]:
    """The files of a module or package of the code's own; a library in `lib/` that is a folder speaks against it."""
    for folder in dict.fromkeys(folders):
        for path in (folder / f"{name}.py", folder / "lib" / f"{name}.py", folder / "lib" / name):
            if path.exists():
                yield path
        if (folder / name).is_dir():
            yield from (path for path in (folder / name).rglob("*") if path.is_file())
