"""Who ran when: the trials of a tuning job as bars, in as many rows as ran at a time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mlplatform.core.status import TONES, TrialStatus
from mlplatform.web.charts.tuning_trials import TrialPoint, plain
from mlplatform.web.statuses import status_word

BARS_MAX: Final = 1000
_ROW_PX: Final = 40
_SHAPES: Final = {
    TrialStatus.EARLY_STOPPED: "/",
    TrialStatus.NO_METRIC: ".",
    TrialStatus.FAILED: "x",
    TrialStatus.STOPPED: "-",
}
"""A pattern beside the colour, for who does not see colours."""


def timeline_figure(trials: Sequence[TrialPoint], *, now: datetime) -> dict[str, Any]:
    """A bar per trial that has begun, to its end or to now, one trace per status."""
    shown = [trial for trial in trials if trial.started_at is not None][-BARS_MAX:]
    slots = slots_of(shown, now=now)
    statuses = [status for status in TrialStatus if any(trial.status == status for trial in shown)]
    return {
        "data": [
            _bars(
                [(trial, slot) for trial, slot in zip(shown, slots, strict=True) if trial.status == status],
                status,
                now,
            )
            for status in statuses
        ],
        "layout": {
            "barmode": "overlay",
            "bargap": 0.25,
            "uniformtext": {"mode": "hide", "minsize": 9},
            "xaxis": {"type": "date", "title": {"text": "UTC"}},
            "yaxis": {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": [_slot(slot) for slot in range(max(slots, default=0), -1, -1)],
            },
            "hovermode": "closest",
            "showlegend": True,
            "height": 130 + _ROW_PX * (max(slots, default=0) + 1),
        },
        "table": {
            "columns": [_("trial"), _("Slot"), _("Status"), _("Started"), _("Ended"), _("Seconds")],
            "rows": [
                [
                    trial.number,
                    slot + 1,
                    status_word(trial.status),
                    _time(trial.started_at or now),
                    _time(trial.ended_at) if trial.ended_at else "",
                    round(_seconds(trial, now), 3),
                ]
                for trial, slot in zip(shown, slots, strict=True)
            ],
        },
    }


def timeline_summary(trials: Sequence[TrialPoint], *, now: datetime) -> str:
    shown = [trial for trial in trials if trial.started_at is not None]
    if not shown:
        return _("No trial has begun yet.")
    n_slots = max(slots_of(shown, now=now)) + 1
    begun = min(trial.started_at or now for trial in shown)
    ended = max(trial.ended_at or now for trial in shown)
    return ngettext(
        "%(n)s trial, at most %(slots)s at a time, in %(seconds)s seconds.",
        "%(n)s trials, at most %(slots)s at a time, in %(seconds)s seconds.",
        len(shown),
    ) % {"n": len(shown), "slots": n_slots, "seconds": round((ended - begun).total_seconds())}


def slots_of(trials: Sequence[TrialPoint], *, now: datetime) -> list[int]:
    """For each trial the first row, from 0, that is free when it begins."""
    free_at: list[datetime] = []
    found = [0] * len(trials)
    order = sorted(
        range(len(trials)), key=lambda place: (trials[place].started_at or now, trials[place].number)
    )
    for place in order:
        begun, ended = trials[place].started_at or now, trials[place].ended_at or now
        slot = next((row for row, at in enumerate(free_at) if at <= begun), len(free_at))
        if slot == len(free_at):
            free_at.append(ended)
        free_at[slot] = max(ended, begun)
        found[place] = slot
    return found


def _bars(pairs: Sequence[tuple[TrialPoint, int]], status: TrialStatus, now: datetime) -> dict[str, Any]:
    tone = TONES.get(status, "neutral")
    return {
        "type": "bar",
        "orientation": "h",
        "name": status_word(status),
        "base": [_time(trial.started_at or now) for trial, _slot_place in pairs],
        "x": [max(_seconds(trial, now), 0.001) * 1000 for trial, _slot_place in pairs],
        "y": [_slot(slot) for _trial, slot in pairs],
        "text": [str(trial.number) for trial, _slot_place in pairs],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textfont": {"color": "var(--surface)"},
        "textangle": 0,
        "marker": {
            "color": f"var(--{tone})",
            "line": {"color": "var(--surface)", "width": 1},
            **({"pattern": {"shape": _SHAPES[status], "size": 6}} if status in _SHAPES else {}),
        },
        "customdata": [[_words(trial, now)] for trial, _slot_place in pairs],
        "hovertemplate": f"{plain(_('trial'))} %{{text}}: {plain(status_word(status))}<br>%{{customdata[0]}}"
        "<extra></extra>",
    }


def _words(trial: TrialPoint, now: datetime) -> str:
    value = "" if trial.value is None else f" · {trial.value:.4g}"
    return f"{_seconds(trial, now):.1f} s{value}"


def _slot(slot: int) -> str:
    return _("slot %(n)s") % {"n": slot + 1}


def _seconds(trial: TrialPoint, now: datetime) -> float:
    return ((trial.ended_at or now) - (trial.started_at or now)).total_seconds()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "")
