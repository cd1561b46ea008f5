"""Runs a script in the process that there is, where that has its framework imported already. Django-free.

The script sees what it would see in a process of its own: it is `__main__`, its folder comes first, nothing of the
platform can be imported by accident, its traceback begins with its own line, and the process ends as Python ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import NoReturn

from jobs.runner.script.call import ScriptCall
from mlplatform.core.env import PROJECT_ROOT


def script_run_here(call: ScriptCall) -> NoReturn:
    """Does not return: raises SystemExit as the end of the script."""
    os.environ.clear()
    os.environ.update(call.environment)
    os.chdir(call.folder)
    path = (call.folder / call.entry_point).resolve()
    sys.argv[:] = list(call.argv[1:])
    first = call.environment["PYTHONPATH"].split(os.pathsep)
    sys.path[:] = [str(path.parent), *first, *_not_ours(sys.path)]
    _forget_ours()
    try:
        exec(_compiled(path), _main(path).__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        error.__traceback__ = _own(error.__traceback__)
        sys.stdout.flush()
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)
    sys.exit(0)


def _compiled(path: Path) -> CodeType:
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _main(path: Path) -> ModuleType:
    module = ModuleType("__main__")
    module.__file__ = str(path)
    module.__dict__.update(__builtins__=__builtins__, __annotations__={}, __cached__=None)
    sys.modules["__main__"] = module
    return module


def _own(trace: TracebackType | None) -> TracebackType | None:
    """Without the frames of this module."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _not_ours(places: list[str]) -> list[str]:
    return [place for place in places if place and Path(place) != PROJECT_ROOT]


def _forget_ours() -> None:
    """A module of the script may have the name of one of ours; ours go on living in who refers to them."""
    for name in [
        name for name in sys.modules if name.partition(".")[0] in {"jobs", "mlplatform", "endpoints"}
    ]:
        del sys.modules[name]
