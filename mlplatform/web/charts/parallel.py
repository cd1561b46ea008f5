"""Parallel coordinates of runs, as `static/js/parallel.js` draws them. Pure: axes in, JSON-ready data out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from jobs.comparison.axes import Axis, ticks_of
from jobs.comparison.runs import Run
from mlplatform.web.charts.k_lines import DASHES, N_COLOURS, dash
from mlplatform.web.templatetags.figures import significant

BY_RUN: Final = "name"
"""In place of an axis: every run in its own colour."""


def parallel_data(
    runs: Sequence[Run],
    axes: Sequence[Axis],
    marks: Mapping[str, int],
    *,
    title: Callable[[str], str],
    url: Callable[[Run], str],
    key: str,
    state: Sequence[tuple[str, str]] = (),
    colour: str = "",
) -> dict[str, Any]:
    """Axes with their ticks, runs with one value per axis.

    Args:
        title: Of an axis by its key.
        url: Of a run's page.
        key: The axis that says how good a run is; many runs are coloured by it, few by themselves.
        state: What somebody has chosen: (`axis` | `brush` | `pick`, value), as it stands in the address.
        colour: Key of the axis that colours the runs, or `BY_RUN`, where somebody chose one.
    """
    keys = [axis.key for axis in axes]
    default = BY_RUN if len(runs) <= N_COLOURS else key
    return {
        "axes": [_axis(axis, title(axis.key)) for axis in axes],
        "runs": [
            {
                "name": run.name,
                "url": url(run),
                "mark": marks[run.name],
                "dash": DASHES.index(dash(marks[run.name])),
                "values": [axis.values[place] for axis in axes],
            }
            for place, run in enumerate(runs)
        ],
        "state": {
            name: [value for said, value in state if said == name] for name in ("axis", "brush", "pick")
        },
        "colour": colour if colour in keys or colour == BY_RUN else default,
        "colour_default": default,
    }


def _axis(axis: Axis, title: str) -> dict[str, Any]:
    ticks = [] if axis.kind == "category" else [[value, significant(value)] for value in ticks_of(axis)]
    return {
        "key": axis.key,
        "title": title,
        "kind": axis.kind,
        "low": axis.low,
        "high": axis.high,
        "ticks": ticks,
        "categories": list(axis.categories),
        "metric": axis.is_metric,
        "shown": axis.shown,
    }
