"""Runs benchmarks one after the other, prints what they say of their bars, and writes `docs/benchmarks.md`.

    python -m benchmarks [NAME ...] [--quick] [--list]

Without names all of them. The document is written when every benchmark has an outcome, of this run or of one before it
on this machine. `--quick` runs those that can be run in seconds, to show that they work: such figures are worth nothing
and are written nowhere. The exit code is 1 where a benchmark could not be carried out, and 0 where bars are missed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.collecting import Benchmark, Outcome, benchmark_run, benchmarks_find
from benchmarks.options import options_parser
from benchmarks.reporting import (
    DOCUMENT,
    document_text,
    machine_text,
    outcome_keep,
    outcomes_kept,
    remarks_read,
    table_text,
)
from mlplatform.core.env import PROJECT_ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    benchmarks = benchmarks_find()
    parser = options_parser(__doc__, prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all where none is given")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true", help="what there is, and nothing more")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - {each.name for each in benchmarks})
    if unknown:
        parser.error(
            f"no such benchmark: {', '.join(unknown)}; there are {', '.join(b.name for b in benchmarks)}"
        )
    chosen = [each for each in benchmarks if not options.names or each.name in options.names]
    if options.list:
        for each in chosen:
            print(f"{each.name:20} {each.about.splitlines()[0]}")
        return 0
    if options.quick:
        chosen = [each for each in chosen if each.quick is not None]
    print(machine_text(), flush=True)
    outcomes = [_run(each, quick=options.quick) for each in chosen]
    print(f"\n{table_text(outcomes)}")
    if not options.quick:
        _document_write(benchmarks)
    return int(any(outcome.is_crashed for outcome in outcomes))


def _run(benchmark: Benchmark, *, quick: bool) -> Outcome:
    print(f"\n{benchmark.name}: {benchmark.about.splitlines()[0]}", flush=True)
    outcome = benchmark_run(benchmark.name, (benchmark.quick or ()) if quick else ())
    print(f"  ({outcome.took_s:.0f} s, load {outcome.load[0]:.2f} before and {outcome.load[1]:.2f} after)")
    if not quick:
        outcome_keep(outcome)
    return outcome


def _document_write(benchmarks: Sequence[Benchmark]) -> None:
    outcomes = outcomes_kept()
    missing = [each.name for each in benchmarks if each.name not in outcomes]
    where = DOCUMENT.relative_to(PROJECT_ROOT)
    if missing:
        print(f"\n{where} is written once these have run too: {', '.join(missing)}")
        return
    DOCUMENT.write_text(document_text(benchmarks, outcomes, remarks_read(), machine_text()))
    print(f"\nwritten: {where}")


if __name__ == "__main__":
    sys.exit(main())
