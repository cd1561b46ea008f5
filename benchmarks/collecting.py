"""Which benchmarks there are, and one of them run: its output, its bars, how busy the machine was. No benchmark itself.

A benchmark is a module of this package with a `main()`; found by looking, so that none is forgotten. Each runs in a
process of its own. Called by `python -m benchmarks`.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

from benchmarks.verdict import Verdict, verdict_parse
from mlplatform.core.env import PROJECT_ROOT

PACKAGE: Final = Path(__file__).parent
_TRACEBACK: Final = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Benchmark:
    """A module with a `main()`.

    Attributes:
        about: The docstring.
        quick: Options for a run that only shows that it works; None where it has none.
    """

    name: str
    about: str
    quick: tuple[str, ...] | None


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
        load: Average of the last minute, before and after.
        code: Exit code of the process.
    """

    name: str
    began_at: str
    took_s: float
    load: tuple[float, float]
    code: int
    output: str

    @property
    def verdicts(self) -> list[Verdict]:
        return [found for line in self.output.splitlines() if (found := verdict_parse(line)) is not None]

    @property
    def is_crashed(self) -> bool:
        """It did not measure what it is there for. One that misses a bar may say so with its exit code too."""
        said_missed = any(not verdict.is_met for verdict in self.verdicts)
        return self.code != 0 and not (self.code == 1 and said_missed and _TRACEBACK not in self.output)


def benchmarks_find(package: Path = PACKAGE) -> list[Benchmark]:
    """All benchmarks by name; nothing is imported."""
    modules = ((path.stem, ast.parse(path.read_text())) for path in sorted(package.glob("[a-z]*.py")))
    return [
        Benchmark(name, ast.get_docstring(tree) or "", _quick(tree))
        for name, tree in modules
        if any(isinstance(each, ast.FunctionDef) and each.name == "main" for each in tree.body)
    ]


def benchmark_run(name: str, options: Sequence[str] = ()) -> Outcome:
    """Runs one, its output shown as it comes."""
    load, began = os.getloadavg()[0], monotonic()
    began_at = datetime.now(UTC).isoformat(timespec="minutes")
    lines = []
    with subprocess.Popen(
        [sys.executable, "-u", "-m", f"{PACKAGE.name}.{name}", *options],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            print(f"  {line}", end="", flush=True)
    loads = (load, os.getloadavg()[0])
    return Outcome(name, began_at, monotonic() - began, loads, process.returncode, "".join(lines))


def _quick(tree: ast.Module) -> tuple[str, ...] | None:
    for statement in tree.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id="QUICK"), value=ast.expr() as value):
                return tuple(ast.literal_eval(value))
    return None
