"""The job process of a script: `python -m jobs.runner.script <root>/job.json`. Becomes the script itself.

It does what only the process itself can do (ends with its worker, gives its memory up first, knows its threads), says
with which command it runs, and is then replaced by the script: exit status, signals and output are the script's own.
One that was started ahead of its job and has the framework imported runs the script as it is, which the script cannot
tell from the other. The code lies in `code/` already. Knows nothing of Django, the database or the object store.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Final

from jobs.runner.process import parent_follow, sacrifice_first, threads_limit
from jobs.runner.script.arguments import ANNOUNCED
from jobs.runner.script.call import ScriptCall, script_call
from jobs.runner.script.shadows import is_shadowing
from jobs.runner.spec import JobSpec

CANNOT_RUN: Final = 126
"""As a shell says it."""
_AHEAD: Final = "jobs.runner.warm"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m jobs.runner.script <root>/job.json", file=sys.stderr)
        return 2
    job = JobSpec.read(Path(arguments[0]))
    if not parent_follow(job.parent_pid):
        print("The worker of this job is gone; nothing was done.", file=sys.stderr)
        return 1
    sacrifice_first()
    threads_limit(job.n_threads)
    call = script_call(job, os.environ)
    _announce(call)
    _stdin_close()
    if _is_ahead() and call.is_python_file and call.argv[0] == sys.executable and not _is_shadowing(call):
        from jobs.runner.script.here import script_run_here

        script_run_here(call)
    return _become(call)


def _announce(call: ScriptCall) -> None:
    """Says the command."""
    command = shlex.join([Path(call.argv[0]).name, *call.argv[1:]])
    print(f"{ANNOUNCED}\n\n{command}\n", flush=True)


def _is_ahead() -> bool:
    """Whether this process was started before its job."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name == _AHEAD


def _is_shadowing(call: ScriptCall) -> bool:
    return is_shadowing(call.folder, (call.folder / call.entry_point).parent)


def _stdin_close() -> None:
    """What the worker holds the other end of is no input for a script."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _become(call: ScriptCall) -> int:
    """Does not return but for a program that cannot be started."""
    os.chdir(call.folder)
    try:
        os.execve(call.argv[0], call.argv, dict(call.environment))
    except OSError as error:
        print(f"The script cannot be started: {call.argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
    return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
