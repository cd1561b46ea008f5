"""What is kept of the progress that a job prints."""

from __future__ import annotations

from jobs.services.reporting import PROGRESS_KEPT, ProgressHistory
from mlplatform.core.log_lines import LogLines


def line(at_s: float, percent: float) -> LogLines:
    return LogLines.of(f"#progress_metric: host=algo-1, completed {percent:g} % of epochs", int(at_s * 1000))


def test_the_last_line_counts_and_those_before_are_kept_with_their_instants() -> None:
    history = ProgressHistory()
    assert history.take([LogLines.of("Training index...", 0)]) is None
    history.take([line(1, 10)])
    assert history.take([line(3, 20), line(5, 40)]) == {
        "fraction": 0.4,
        "text": "40 % of epochs",
        "recent": [[1000, 0.1], [3000, 0.2], [5000, 0.4]],
    }


def test_only_the_last_reports_are_kept() -> None:
    history = ProgressHistory()
    said = history.take([line(n, n) for n in range(50)])
    assert said is not None
    assert [at_ms for at_ms, _ in said["recent"]] == [1000 * n for n in range(50 - PROGRESS_KEPT, 50)]


def test_a_job_that_reports_a_hundred_times_a_second_has_a_history_of_seconds() -> None:
    said = ProgressHistory().take([line(n / 100, n / 10) for n in range(1000)])
    assert said is not None
    assert said["recent"][-1][0] - said["recent"][0][0] >= 5000
