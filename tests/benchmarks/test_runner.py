"""What `python -m benchmarks` finds, reads and writes; no benchmark is run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks.collecting import PACKAGE, Benchmark, Outcome, benchmark_run, benchmarks_find
from benchmarks.reporting import (
    document_text,
    machine_text,
    outcome_keep,
    outcomes_kept,
    remarks_read,
    table_text,
)
from benchmarks.verdict import Verdict, verdict, verdict_parse


def outcome(name: str, output: str = "", *, code: int = 0) -> Outcome:
    return Outcome(name, "2026-11-30T12:00+00:00", 12.3, (0.5, 1.25), code, output)


def test_a_verdict_is_read_back_from_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict("added", 0.3124, 0.35, unit="ms")
    assert not verdict("against MLServer", 2.5, 3, unit="times", at_least=True)
    found = [verdict_parse(line) for line in capsys.readouterr().out.splitlines()]
    assert found == [
        Verdict("added", "0.312 ms", "at most 0.35 ms", "met"),
        Verdict("against MLServer", "2.5 times", "at least 3 times", "missed by 0.5 times"),
    ]


def test_other_lines_are_no_verdicts() -> None:
    for line in ("", "in process  0.014", "a | b | c | d", "the bar is high", "12 ms, bar 50 ms: met"):
        assert verdict_parse(line) is None


def test_every_module_that_measures_is_found_and_says_what_it_measures() -> None:
    found = {each.name: each for each in benchmarks_find()}
    modules = [path for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    for path in modules:
        says_no = "No benchmark" in path.read_text().partition("from __future__")[0]
        assert (path.stem in found) != says_no, path.name
    assert {"invocation", "script_ensemble", "knn_search"} <= set(found)
    assert all(each.about for each in found.values())


def test_remarks_are_about_benchmarks_that_there_are() -> None:
    assert set(remarks_read()) <= {each.name for each in benchmarks_find()}


def test_a_missed_bar_is_no_crash_and_a_traceback_is() -> None:
    missed = "a | 2 s | at most 1 s | missed by 1 s"
    assert not outcome("a", missed).is_crashed
    assert not outcome("a", missed, code=1).is_crashed
    assert outcome("a", missed, code=3).is_crashed
    assert outcome("a", f"{missed}\nTraceback (most recent call last):\n", code=1).is_crashed
    assert outcome("a", "the data is not there", code=1).is_crashed


def test_the_table_has_a_row_for_each_bar_and_for_what_did_not_end() -> None:
    made = [
        outcome("first", "x | 1 s | at most 2 s | met\nnoise\ny | 3 s | at most 2 s | missed by 1 s"),
        outcome("second", "the data is not there", code=1),
    ]
    lines = table_text(made).splitlines()
    assert lines[0].split() == ["what", "measured", "bar", "met", "or", "missed"]
    assert lines[1:3] == [
        "x                   1 s                    at most 2 s  met",
        "y                   3 s                    at most 2 s  missed by 1 s",
    ]
    assert lines[3].split("  ")[0] == "second did not end"
    assert "the data is not there" in lines[3]


def test_the_document_has_what_was_printed_and_the_remark_beside_it() -> None:
    benchmarks = [
        Benchmark("first", "Measures.\n\n    python -m benchmarks.first\n\nHow.", None),
        Benchmark("second", "Measures too.", ("--rounds", "1")),
    ]
    made = {
        "first": outcome("first", "x | 3 s | at most 2 s | missed by 1 s"),
        "second": outcome("second", "y 1 | z"),
    }
    text = document_text(
        benchmarks, made, {"first": "The disk is slow.", "second": "Never said."}, "one machine"
    )
    assert "| [first](#first) | x | 3 s | at most 2 s | missed by 1 s |" in text
    assert "**Why missed:** The disk is slow." in text
    assert "Never said." not in text
    assert "    python -m benchmarks.first" in text
    assert "```\ny 1 | z\n```" in text
    assert "load of the last minute 0.50 before and 1.25 after" in text
    assert "Machine: one machine." in text


def test_outcomes_are_kept_from_one_run_to_the_next(tmp_path: Path) -> None:
    outcome_keep(outcome("first", "x"), tmp_path)
    outcome_keep(outcome("second", "y"), tmp_path)
    outcome_keep(outcome("first", "again"), tmp_path)
    kept = outcomes_kept(tmp_path)
    assert {name: each.output for name, each in kept.items()} == {"first": "again", "second": "y"}
    assert kept["first"] == outcome("first", "again")


def test_a_benchmark_runs_in_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    found = benchmark_run("invocation", ["--help"])
    assert found.code == 0
    assert "MLServer" in found.output
    assert "MLServer" in capfd.readouterr().out


def test_a_name_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["invocations"])
    assert "no such benchmark: invocations; there are accuracy_by_k" in capsys.readouterr().err


def test_the_machine_is_told_with_its_libraries() -> None:
    assert "processors" in machine_text()
    assert "xgboost-cpu" in machine_text()
