"""Figures of a tuning job as data: history, distribution, slices, contour, timeline, importance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlplatform.core.status import TrialStatus
from mlplatform.web.charts.sparkline import steps_path
from mlplatform.web.charts.tuning import (
    best_so_far,
    edf_figure,
    history_figure,
    history_summary,
    importance_figure,
    slice_figure,
    slice_summary,
)
from mlplatform.web.charts.tuning_contour import GRID, contour_figure, has_surface, hull_of, within
from mlplatform.web.charts.tuning_timeline import slots_of, timeline_figure, timeline_summary
from mlplatform.web.charts.tuning_trials import Dimension, Objective, TrialPoint, dimensions_of

RMSE = Objective("validation:rmse", smallest=True)
ACCURACY = Objective("accuracy", smallest=False)
BEGIN = datetime(2026, 11, 30, tzinfo=UTC)


def trial(number: int, value: float | None = None, at: float = 0.0, **parameters: Any) -> TrialPoint:
    return TrialPoint(
        number=number,
        status=TrialStatus.COMPLETED if value is not None else TrialStatus.FAILED,
        value=value,
        parameters={name: str(text) for name, text in parameters.items()},
        started_at=BEGIN + timedelta(seconds=at),
        ended_at=BEGIN + timedelta(seconds=at + 2),
    )


def values(*given: float | None) -> list[TrialPoint]:
    return [trial(number, value) for number, value in enumerate(given, start=1)]


def grid(n: int = 4) -> list[TrialPoint]:
    places = [(x, y) for x in range(n) for y in range(n)]
    return [trial(number, x + y, x=x, y=y) for number, (x, y) in enumerate(places, start=1)]


@pytest.mark.parametrize(
    ("objective", "line"), [(RMSE, [3.0, 3.0, 2.0, 2.0]), (ACCURACY, [3.0, 5.0, 5.0, 5.0])]
)
def test_the_line_is_of_the_best_so_far(objective: Objective, line: list[float]) -> None:
    assert best_so_far(values(3, 5, 2, 4), objective) == line


def test_history_leaves_out_what_has_no_value_and_counts_trials_by_their_numbers() -> None:
    figure = history_figure(values(3, None, 2), RMSE)
    line = figure["data"][0]
    assert (line["x"], line["y"]) == ([1, 3], [3, 2])
    assert [row[0] for row in figure["table"]["rows"]] == [1, 3]
    assert history_figure(values(3, 2), RMSE, log_scale=True)["layout"]["yaxis"]["type"] == "log"
    assert "2 in trial 3" in history_summary(values(3, None, 2), RMSE)
    assert history_summary(values(None), RMSE) == "No trial has a value yet."
    assert "improved" not in history_summary(values(3), RMSE) and "of 1 trial:" in history_summary(
        values(3), RMSE
    )
    assert history_summary(values(3, 2), RMSE).endswith("the best. It improved 1 time.")
    assert history_summary(values(3, 2, 4, 1), RMSE).endswith("the best. It improved 2 times.")


def test_values_that_are_no_numbers_are_not_drawn() -> None:
    assert history_figure(values(float("nan"), float("inf"), 1), RMSE)["data"][0]["x"] == [3]


def test_the_distribution_rises_to_one() -> None:
    line = edf_figure(values(3, 1, None, 2), RMSE)["data"][0]
    assert line["x"] == [1, 2, 3]
    assert line["y"] == pytest.approx([1 / 3, 2 / 3, 1])


def test_the_most_important_stands_at_the_top() -> None:
    bars = importance_figure({"a": 0.2, "b": 0.7, "c": 0.1})["data"][0]
    assert bars["y"] == ["c", "a", "b"]


def test_axes_follow_the_ranges() -> None:
    found = dimensions_of(
        [
            {"name": "a", "type": "Continuous", "min": 0.001, "max": 1, "scaling": "Auto"},
            {"name": "b", "type": "Integer", "min": 1, "max": 8, "scaling": "Auto"},
            {"name": "c", "type": "Categorical", "values": ["x", "y"]},
            {"name": "d", "type": "Continuous", "min": 0.001, "max": 1, "scaling": "Linear"},
            {"name": "e", "type": "Continuous", "min": 0, "max": 0.99, "scaling": "ReverseLogarithmic"},
        ],
        [trial(1, 1.0, b=20)],
    )
    assert [one.kind for one in found] == ["log", "linear", "category", "linear", "linear"]
    assert found[1].high == 20
    assert found[0].place(found[0].at(0.25)) == pytest.approx(0.25)


def test_a_slice_has_numbers_on_a_number_axis_and_texts_as_they_are() -> None:
    trials = [trial(1, 2.0, k=3, kind="<b>"), trial(2, 1.0, k=5, kind="%{x}")]
    numbers = slice_figure(trials, Dimension("k", "linear", 1, 9), RMSE)
    assert numbers["data"][0]["x"] == [3, 5]
    texts = slice_figure(trials, Dimension("kind", "category", categories=("<b>", "%{x}")), RMSE)
    assert texts["data"][0]["x"] == ["&lt;b&gt;", "% {x}"]
    assert "best 1 at 5" in slice_summary(trials, Dimension("k", "linear", 1, 9), RMSE)


def test_the_hull_holds_its_points_and_nothing_beyond() -> None:
    hull = hull_of([(0, 0), (1, 0), (1, 1), (0, 1), (0.5, 0.5)])
    assert len(hull) == 4
    assert within(hull, (0.5, 0.5)) and within(hull, (0, 0.5))
    assert not within(hull, (1.1, 0.5))
    assert not within(hull_of([(0, 0), (1, 1), (2, 2)]), (1, 1))


def axes(n: int = 4) -> tuple[Dimension, Dimension]:
    return Dimension("x", "linear", 0, n - 1), Dimension("y", "linear", 0, n - 1)


def test_a_surface_lies_between_the_values_near_it() -> None:
    figure = contour_figure(grid(), *axes(), RMSE)
    points, surface = figure["data"]
    assert len(points["x"]) == 16
    z = surface["z"]
    assert (
        len(z) == GRID and z[0][0] == pytest.approx(0, abs=0.05) and z[-1][-1] == pytest.approx(6, abs=0.05)
    )
    assert all(0 <= value <= 6 for row in z for value in row if value is not None)


def test_there_is_no_surface_where_the_trials_do_not_reach() -> None:
    triangle = [one for one in grid() if int(one.parameters["x"]) + int(one.parameters["y"]) <= 3]
    z = contour_figure(triangle, *axes(), RMSE)["data"][1]["z"]
    assert z[-1][-1] is None and z[0][0] is not None


@pytest.mark.parametrize(
    "trials", [values(), grid(2), [one for one in grid(8) if one.parameters["x"] == "1"]]
)
def test_too_few_trials_or_a_line_of_them_bear_no_surface(trials: Sequence[TrialPoint]) -> None:
    assert not has_surface(trials, *axes(8))
    assert all(trace["type"] == "scatter" for trace in contour_figure(trials, *axes(8), RMSE)["data"])


def test_categories_have_points_and_no_surface() -> None:
    trials = [trial(n, n, x="ab"[n % 2], y=n) for n in range(1, 9)]
    x = Dimension("x", "category", categories=("a", "b"))
    assert [trace["type"] for trace in contour_figure(trials, x, axes(9)[1], RMSE)["data"]] == ["scatter"]


def test_trials_stand_in_as_many_rows_as_ran_at_a_time() -> None:
    trials = [trial(1, 1, at=0), trial(2, 1, at=1), trial(3, 1, at=2.5), trial(4, None, at=3.5)]
    assert slots_of(trials, now=BEGIN) == [0, 1, 0, 1]
    figure = timeline_figure(trials, now=BEGIN + timedelta(seconds=9))
    assert {trace["name"] for trace in figure["data"]} == {"Completed", "Failed"}
    assert figure["data"][0]["x"] == [2000, 2000, 2000]
    assert figure["table"]["rows"][3][:3] == [4, 2, "Failed"]
    assert "4 trials, at most 2 at a time" in timeline_summary(trials, now=BEGIN)


def test_a_trial_that_runs_is_drawn_until_now() -> None:
    running = TrialPoint(1, TrialStatus.IN_PROGRESS, None, {}, started_at=BEGIN)
    figure = timeline_figure([running], now=BEGIN + timedelta(seconds=5))
    assert figure["data"][0]["x"] == [5000]
    assert timeline_figure([], now=BEGIN)["data"] == []


def test_steps_are_drawn_between_their_least_and_largest() -> None:
    assert steps_path([1, 3, 2], width=20, height=10) == "M0.0 8.0 L10.0 2.0 L20.0 5.0"
    assert steps_path([4, 4], width=10, height=10) == "M0.0 5.0 L10.0 5.0"
    assert steps_path([], width=10, height=10) == ""
