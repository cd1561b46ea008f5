"""The outcomes of benchmarks as a table for a terminal and as `docs/benchmarks.md`. No benchmark itself.

Outcomes are kept in `var/cache/benchmarks`, so that one benchmark can be run again without all the others. What a
person has to say about a bar that is missed is in `benchmarks/remarks.toml`, by benchmark, and is written beside it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.collecting import PACKAGE, Benchmark, Outcome
from mlplatform.core.env import PROJECT_ROOT

DOCUMENT: Final = PROJECT_ROOT / "docs" / "benchmarks.md"
REMARKS: Final = PACKAGE / "remarks.toml"
KEPT: Final = PROJECT_ROOT / "var" / "cache" / "benchmarks"
_LIBRARIES: Final = (
    "numpy",
    "faiss-cpu",
    "xgboost-cpu",
    "catboost",
    "scikit-learn",
    "uvloop",
    "httptools",
    "Django",
)
_COLUMNS: Final = ("what", "measured", "bar", "met or missed")
_NOTHING: Final = "no bar"


def outcome_keep(outcome: Outcome, folder: Path = KEPT) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{outcome.name}.json").write_text(json.dumps(asdict(outcome)))


def outcomes_kept(folder: Path = KEPT) -> dict[str, Outcome]:
    """The last outcome of each benchmark that has one here."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        values = json.loads(path.read_text())
        found[path.stem] = Outcome(**{**values, "load": tuple(values["load"])})
    return found


def remarks_read(path: Path = REMARKS) -> dict[str, str]:
    """By benchmark."""
    return {name: text.strip() for name, text in tomllib.loads(path.read_text()).items()}


def machine_text() -> str:
    """This machine and the libraries that are measured."""
    libraries = ", ".join(f"{name} {found}" for name in _LIBRARIES if (found := _version(name)))
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} processors, {memory_gib:.0f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; {libraries}"
    )


def table_text(outcomes: Sequence[Outcome]) -> str:
    """A table of all bars for a terminal."""
    rows = [_COLUMNS, *(row for outcome in outcomes for row in _rows(outcome))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def document_text(
    benchmarks: Sequence[Benchmark], outcomes: Mapping[str, Outcome], remarks: Mapping[str, str], machine: str
) -> str:
    """`docs/benchmarks.md`. Every benchmark must have an outcome."""
    rows = [
        f"| [{benchmark.name}](#{benchmark.name}) | {' | '.join(map(_cell, row))} |"
        for benchmark in benchmarks
        for row in _rows(outcomes[benchmark.name])
    ]
    head = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which runs everything in `benchmarks/`, one after the other, each in a process of "
        "its own; not by hand. What is compared is measured side by side in one run. One benchmark: "
        "`python -m benchmarks NAME`.",
        "",
        f"Machine: {machine}.",
        "",
        f"| benchmark | {' | '.join(_COLUMNS)} |",
        "|---|---|---|---|---|",
        *rows,
    ]
    sections = [
        line
        for benchmark in benchmarks
        for line in _section(benchmark, outcomes[benchmark.name], remarks.get(benchmark.name, ""))
    ]
    return "\n".join([*head, *sections]) + "\n"


def _rows(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    if outcome.is_crashed:
        lines = outcome.output.strip().splitlines() or [""]
        return [(f"{outcome.name} did not end", lines[-1][:120], "", f"exit code {outcome.code}")]
    rows = [(each.what, each.measured, each.bar, each.outcome) for each in outcome.verdicts]
    return rows or [(outcome.name, "see its output", _NOTHING, "")]


def _section(benchmark: Benchmark, outcome: Outcome, remark: str) -> list[str]:
    before, after = outcome.load
    said = (
        f"Ran {outcome.began_at}, {outcome.took_s:.0f} s; load of the last minute {before:.2f} before "
        f"and {after:.2f} after."
    )
    is_missed = outcome.is_crashed or not all(verdict.is_met for verdict in outcome.verdicts)
    why = ["", f"**Why missed:** {remark}"] if remark and is_missed else []
    return [
        "",
        f"## {benchmark.name}",
        "",
        *_about(benchmark.about),
        "",
        said,
        *why,
        "",
        "```",
        outcome.output.strip("\n"),
        "```",
    ]


def _about(docstring: str) -> list[str]:
    """Indented lines, which say how it is called, as code."""
    lines = docstring.strip().splitlines()
    return [f"    {line.strip()}" if line.startswith("    ") else line for line in lines]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
