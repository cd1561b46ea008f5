"""The timeline of an endpoint's model servers. Pure: lives in, Plotly figure (a plain dict) out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from endpoints.models import ReplicaRun
from endpoints.selectors.replica_runs import cold_start_ms

_MARGIN = 0.03
_ABOVE = 0.42
"""From the middle of a bar to the place of its mark."""


def replica_runs_figure(runs: Sequence[ReplicaRun], *, since: datetime, now: datetime) -> dict[str, Any]:
    """Each life as a bar from its start to its end; the part in which requests waited for it in another colour.

    Lives that do not overlap share a line, so that there are as many lines as there were replicas at once.

    Args:
        runs: Oldest first.
        since, now: The period that is shown, less the part before the first life; a life that lasts ends at `now`.
    """
    lines = _lines(runs, now)
    first = min((run.demanded_at or run.started_at for run in runs), default=since)
    begins = max(since, first - (now - first) * _MARGIN)
    starts = [(run, line) for run, line in zip(runs, lines, strict=True)]
    served = [(run, line) for run, line in starts if run.ready_at is not None]
    return {
        "data": [
            _bars(
                _("starting"),
                [
                    (run.demanded_at or run.started_at, run.ready_at or _end(run, now), line)
                    for run, line in starts
                ],
                [_start_text(run) for run, _line in starts],
            ),
            _bars(
                _("answering"),
                [(run.ready_at or now, _end(run, now), line) for run, line in served],
                [_life_text(run) for run, _line in served],
            ),
            _waiting([(run, line) for run, line in starts if run.n_waiting]),
        ],
        "layout": {
            "barmode": "overlay",
            "bargap": 0.35,
            "showlegend": True,
            "xaxis": {
                "type": "date",
                "title": {"text": "UTC"},
                "range": [begins.isoformat(), now.isoformat()],
            },
            "yaxis": {
                "title": {"text": _("model server")},
                "dtick": 1,
                "tickformat": "d",
                "range": [0.4, max(lines, default=1) + 0.6],
                "fixedrange": True,
            },
        },
    }


def _lines(runs: Sequence[ReplicaRun], now: datetime) -> list[int]:
    """The line of each, from 1: the first on which no other life is under way."""
    free_at: list[datetime] = []
    lines = []
    for run in runs:
        begins = run.demanded_at or run.started_at
        line = next((i for i, free in enumerate(free_at) if free <= begins), len(free_at))
        if line == len(free_at):
            free_at.append(begins)
        free_at[line] = _end(run, now)
        lines.append(line + 1)
    return lines


def _end(run: ReplicaRun, now: datetime) -> datetime:
    return run.ended_at or now


def _bars(name: str, spans: Sequence[tuple[datetime, datetime, int]], texts: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "base": [begin.isoformat() for begin, _end_at, _line in spans],
        "x": [max(0.0, (end - begin).total_seconds() * 1000) for begin, end, _line in spans],
        "y": [line for _begin, _end_at, line in spans],
        "text": list(texts),
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }


def _waiting(runs: Sequence[tuple[ReplicaRun, int]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": _("requests that waited"),
        "x": [(run.demanded_at or run.started_at).isoformat() for run, _line in runs],
        "y": [line + _ABOVE for _run, line in runs],
        "text": [str(run.n_waiting) for run, _line in runs],
        "textposition": "middle right",
        "marker": {"size": 7, "symbol": "diamond"},
    }


def _start_text(run: ReplicaRun) -> str:
    took_ms = cold_start_ms(run)
    if took_ms is not None:
        return _("cold start: %(ms)d ms, %(n)d waited") % {"ms": round(took_ms), "n": run.n_waiting}
    if run.ready_at is None:
        return run.end_reason or _("starting")
    return _("start: %(ms)d ms") % {"ms": round((run.ready_at - run.started_at).total_seconds() * 1000)}


def _life_text(run: ReplicaRun) -> str:
    return f"{run.variant}: {run.end_reason}" if run.end_reason else run.variant
