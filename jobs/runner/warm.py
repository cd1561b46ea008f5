"""A job process that is started before its job: `python -m jobs.runner.warm <kind> <threads>`. Exec'ed by a worker.

It has its empty folder, sandbox and limits, imports what its kind of job needs, waits for one word on standard input
and goes on as `python -m jobs.runner` would have begun. It computes nothing before: libraries that have computed cannot
be handed on. When the worker is gone, standard input ends, and with it this process.

The word is one line of JSON: `program` (what stands behind `python -m`), `environment` (what it has beside and in the
place of what the process was started with) and `watched` (whether standard input stays open).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NoReturn

from jobs.runner.process import sacrifice_first, threads_limit

_READ_BYTES: Final = 65536
_OF_EVERY_JOB: Final = (
    "jobs.runner.__main__",
    "jobs.runner.context",
    "mlplatform.core.tabular.read",
    "mlplatform.core.tabular.csv",
)
_OF_EVERY_SCRIPT: Final = ("jobs.runner.script.__main__", "jobs.runner.script.here")
SCRIPTS: Final = "script:"
"""Begins the kinds of jobs that run a script."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or not arguments[1].isdecimal():
        print("usage: python -m jobs.runner.warm <kind> <threads>", file=sys.stderr)
        return 2
    kind, n_threads = arguments
    given = dict(os.environ)
    sacrifice_first()
    threads_limit(int(n_threads))
    # What cannot be imported is said by the job that needs it, and in its log.
    with contextlib.suppress(Exception):
        kind_import(kind)
    word = word_wait()
    return 0 if word is None else _begin(word, given)


def kind_import(kind: str) -> None:
    """Imports what jobs of the kind need: the name of a built-in algorithm, or `script:` and that of a framework."""
    framework = kind.removeprefix(SCRIPTS)
    if framework == kind:
        _import_for_algorithm(kind)
    else:
        _import_for_scripts(framework)


def _import_for_algorithm(name: str) -> None:
    from jobs.algorithms.lean_import import arrow_without_pandas
    from jobs.algorithms.registry import algorithm_get

    for module in _OF_EVERY_JOB:
        import_module(module)
    for module in algorithm_get(name).engine_load().trains_with:
        import_module(module)
    arrow_without_pandas()


def _import_for_scripts(framework: str) -> None:
    from jobs.frameworks import FRAMEWORKS

    for module in (*_OF_EVERY_SCRIPT, *FRAMEWORKS[framework].imports):
        import_module(module)


def word_wait() -> dict[str, Any] | None:
    """The word; None when the other end of standard input is closed without one."""
    text = b""
    while not text.endswith(b"\n"):
        piece = os.read(0, _READ_BYTES)
        if not piece:
            return None
        text += piece
    word: dict[str, Any] = json.loads(text)
    return word


def _begin(word: Mapping[str, Any], given: Mapping[str, str]) -> int:
    """Everything is now as if the program had been exec'ed with these arguments and this environment."""
    _environment_become({**given, **word["environment"]})
    if not word["watched"]:
        _stdin_close()
    module, *arguments = word["program"]
    program = import_module(f"{module}.__main__")
    sys.argv[:] = [str(program.__file__), *arguments]
    code: int = program.main(arguments)
    return code


def _environment_become(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _stdin_close() -> None:
    """Nothing to read from, as a process has it whose parent it can see for itself."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _exit(code: int) -> NoReturn:
    """Ends at once: a library's thread blocked in a read would keep a normal exit waiting."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit(main(sys.argv[1:]))
