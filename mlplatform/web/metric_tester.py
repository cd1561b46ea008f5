"""What the tester of metric definitions shows: matches with their lines, of pasted text or of a job's log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.metric_tester import LINES_SHOWN, MetricTest, TriedLine, metric_test
from jobs.models import TrainingJob
from jobs.selectors.metric_tester import PART_BYTES, training_job_metric_test
from jobs.selectors.training import training_job_list
from mlplatform.core.people.access import Actor

TEXT_MAX: Final = 200_000
JOBS_OFFERED: Final = 50
_PLACE: Final = re.compile(r"metric_definitions\[(\d{1,3})\](?:\.(\w+))?")


@dataclass(frozen=True)
class Piece:
    """A part of a line; `name` is the metric whose value it is, or empty."""

    text: str
    name: str = ""


def log_choices(*, actor: Actor, first: str = "") -> list[TrainingJob]:
    """Jobs whose log the tester offers, the newest first; the one that is cloned before them."""
    jobs = [one for one in training_job_list(actor=actor, limit=JOBS_OFFERED).items if one.ended]
    return sorted(jobs, key=lambda job: job.name != first)


def definitions_context(
    definitions: Sequence[Mapping[str, str]], errors: Mapping[str, str], posted: Mapping[str, Any]
) -> dict[str, Any]:
    """The rows of metric definitions, each with what is wrong with its name and its expression, what is wrong with all
    of them, and what was pasted into the tester.
    """
    rows = [{**one, "name_problem": "", "problem": ""} for one in definitions]
    rest = []
    for field, message in errors.items():
        if not field.startswith("metric_definitions"):
            continue
        place = _PLACE.fullmatch(field)
        if place is None or int(place[1]) >= len(rows):
            rest.append(message)
        else:
            rows[int(place[1])]["name_problem" if place[2] == "name" else "problem"] = message
    return {
        "metric_rows": rows or [{"name": "", "regex": ""}],
        "metric_errors": rest,
        "metrics_wrong": bool(rest) or any(row["problem"] or row["name_problem"] for row in rows),
        "metric_text": posted.get("metric_text", ""),
        "metric_job": posted.get("metric_job", ""),
    }


def tester_context(*, actor: Actor, definitions: list[dict[str, str]], text: str, job: str) -> dict[str, Any]:
    """Tries the definitions on the log of `job`, or on `text` where no job is named.

    Raises InvalidRequest or NotFound as `training_job_metric_test` does.
    """
    left_out = 0
    if job:
        tested, sample = training_job_metric_test(actor=actor, name=job, definitions=definitions)
        left_out = sample.n_left_out
    else:
        lines = text[:TEXT_MAX].splitlines()
        tested = metric_test(definitions, enumerate(lines, start=1))
    return {
        "tested": tested,
        "tested_job": job,
        "lines": [(line.number, line_pieces(line)) for line in tested.lines],
        "n_more": _n_more(tested),
        "not_numbers": any(one.n_not_numbers for one in tested.definitions),
        "n_left_out": left_out,
        "part_mib": PART_BYTES // 1024**2,
    }


def line_pieces(line: TriedLine) -> list[Piece]:
    """The line cut where values begin and end; of values that overlap the first counts."""
    pieces: list[Piece] = []
    at = 0
    for found in sorted(line.found, key=lambda one: (one.begin, one.end)):
        if found.begin < at:
            continue
        if found.begin > at:
            pieces.append(Piece(line.text[at : found.begin]))
        pieces.append(Piece(line.text[found.begin : found.end], found.name))
        at = found.end
    return [*pieces, Piece(line.text[at:])] if at < len(line.text) else pieces


def _n_more(tested: MetricTest) -> int:
    return max(0, tested.n_lines_matched - LINES_SHOWN)
