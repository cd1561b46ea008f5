"""Imports a model's inference script, and words what goes wrong in it with the script's own line.

Only a model server's process does this: the code is the user's. It is first on the path, with `lib/` beside it, and the
process has no arguments that the script could take for its own.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from endpoints.serving.script_outline import CODE_FOLDER, INFERENCE_NAME
from mlplatform.core.text import text as _

LIBRARIES: Final = "lib"
"""Of the code's folder: dependencies that came with it."""
T = TypeVar("T")


class ScriptFailed(Exception):
    """The model could not be loaded for a reason in the user's code or files.

    Attributes:
        shown: A traceback that begins with the script's own first line; empty where none helps.
    """

    def __init__(self, message: str, *, shown: str = "") -> None:
        super().__init__(message)
        self.shown = shown


def script_find(model_dir: Path, entry_point: str) -> Path | None:
    """The script to import: the entry point, or without one `inference.py`; None where the model has no code.

    Raises:
        ScriptFailed: There is no such file.
    """
    folder = model_dir / CODE_FOLDER
    wanted = folder / (entry_point or INFERENCE_NAME)
    if wanted.is_file() and wanted.resolve().is_relative_to(folder.resolve()):
        return wanted
    if not entry_point:
        return None
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    there = sorted(str(path) for path in files if "__pycache__" not in path.parts)[:20]
    raise ScriptFailed(
        _(
            "the model's code has no {entry_point}; it has {files}",
            entry_point=entry_point,
            files=", ".join(there) or "-",
        )
    )


def script_import(script: Path, *, folder: Path) -> ModuleType:
    """The module, under the file's own name, so that what it pickled in this module is found again.

    Raises:
        ScriptFailed: It has an error, or ends the process.
    """
    for place in dict.fromkeys([folder / LIBRARIES, folder, script.parent]):
        sys.path.insert(0, str(place))
    sys.argv = [str(script)]
    spec = spec_from_file_location(script.stem, script)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[script.stem] = module
    loader = spec.loader
    script_run(lambda: loader.exec_module(module), folder=folder, doing="")
    return module


def script_run(call: Callable[[], T], *, folder: Path, doing: str) -> T:
    """What `call`, which runs code of the script, answers.

    Args:
        doing: Which handler it is; empty while the script is imported.

    Raises:
        ScriptFailed: It raised something, or asked the process to end.
    """
    try:
        return call()
    except ScriptFailed:
        raise
    except SystemExit as error:
        raise ScriptFailed(_ended(error, folder, doing), shown=error_shown(error, folder)) from error
    except BaseException as error:
        raise ScriptFailed(error_place(error, folder), shown=error_shown(error, folder)) from error


def error_place(error: BaseException, folder: Path) -> str:
    """The exception, after the innermost line of the script's own that it came through."""
    words = f"{type(error).__name__}: {error}"[:1000]
    name, line = _line_of(error, folder)
    return f"{name}, line {line}: {words}" if name else words


def error_shown(error: BaseException, folder: Path) -> str:
    """The traceback without our own frames."""
    found = traceback.TracebackException.from_exception(error, limit=None)
    _trim(found, folder)
    return "".join(found.format()).rstrip()


def _line_of(error: BaseException, folder: Path) -> tuple[str, int]:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        return str(Path(error.filename).relative_to(folder)), error.lineno or 0
    frames = [
        one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).is_relative_to(folder)
    ]
    return (str(Path(frames[-1].filename).relative_to(folder)), frames[-1].lineno or 0) if frames else ("", 0)


def _trim(found: traceback.TracebackException, folder: Path) -> None:
    linecache.checkcache()
    first = next((i for i, one in enumerate(found.stack) if Path(one.filename).is_relative_to(folder)), None)
    if first is not None:
        del found.stack[:first]
    for inner in (found.__cause__, found.__context__):
        if inner is not None:
            _trim(inner, folder)


def _ended(error: SystemExit, folder: Path, doing: str) -> str:
    name, line = _line_of(error, folder)
    place: Any = f"{name}, line {line}" if name else (doing or "-")
    if doing:
        return _(
            "{place}: {handler} ended with exit code {code}", place=place, handler=doing, code=str(error.code)
        )
    return _(
        "{place}: the script ended with exit code {code} while it was imported; put what trains or takes arguments "
        'under if __name__ == "__main__":',
        place=place,
        code=str(error.code),
    )
