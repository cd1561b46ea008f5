"""Charts of comparisons as data: colours of runs, curves, points, parallel coordinates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.comparison.axes import Axis, axes_of
from jobs.comparison.runs import Curve, Run
from mlplatform.web.charts.comparison import BANDS_MAX, LEGEND_MAX, curves_figure, scatter_figure
from mlplatform.web.charts.k_lines import N_COLOURS
from mlplatform.web.charts.parallel import BY_RUN, parallel_data
from mlplatform.web.charts.run_colours import N_MARKS, run_colours
from tests.jobs.comparison.runs import run

NAMES = st.lists(st.text("abcdefgh-0123456789", min_size=1, max_size=12), unique=True, max_size=60)


@given(NAMES)
def test_up_to_eight_runs_have_eight_colours_and_every_run_a_mark(names: list[str]) -> None:
    marks = run_colours(names)
    assert list(marks) == names and all(0 <= mark < N_MARKS for mark in marks.values())
    first = [marks[name] % N_COLOURS for name in names[:N_COLOURS]]
    assert len(set(first)) == len(first)


@given(NAMES, NAMES)
def test_who_is_added_changes_nobody_elses_colour(names: list[str], more: list[str]) -> None:
    before, after = run_colours(names), run_colours([*names, *more])
    assert {name: after[name] for name in names} == before


@given(st.text("abcdef", min_size=1))
def test_a_run_alone_has_always_the_same_colour(name: str) -> None:
    assert run_colours([name]) == run_colours([name]) and run_colours([name, name]) == run_colours([name])


def test_the_first_runs_do_not_get_the_two_blues_or_the_two_yellows() -> None:
    alike = ({0, 5}, {4, 6})
    for first in range(50):
        colours = [mark % N_COLOURS for mark in run_colours([f"run-{first + n}" for n in range(6)]).values()]
        assert not any(pair <= set(colours) for pair in alike)


def curves(n: int, n_points: int = 3, **more: Any) -> list[Curve]:
    return [Curve(f"r{place}", [(float(x), x / 10) for x in range(n_points)], **more) for place in range(n)]


def marks_of(found: list[Curve]) -> dict[str, int]:
    return run_colours(curve.run for curve in found)


def test_a_few_curves_have_a_legend_and_markers_and_the_reference_is_stronger() -> None:
    found = curves(3)
    figure = curves_figure(found, marks_of(found), title="loss", x_title="step", base="r1", log_scale=True)
    assert figure["layout"]["showlegend"] and figure["layout"]["yaxis"]["type"] == "log"
    widths = [trace["line"]["width"] for trace in figure["data"]]
    assert widths[1] > widths[0] == widths[2]
    assert all(trace["mode"] == "lines+markers" for trace in figure["data"])


def test_many_curves_are_thin_lines_without_a_legend() -> None:
    found = curves(LEGEND_MAX + 1)
    figure = curves_figure(found, marks_of(found), title="loss", x_title="step")
    assert not figure["layout"]["showlegend"]
    assert {(trace["mode"], trace["opacity"]) for trace in figure["data"]} == {("lines", 0.6)}


@pytest.mark.parametrize(("n", "bands"), [(2, True), (BANDS_MAX + 1, False)])
def test_few_scores_by_k_have_bands_and_their_best_k(n: int, bands: bool) -> None:
    found = curves(n, 5, intervals=[[0.0, 1.0]] * 5)
    figure = curves_figure(found, marks_of(found), title="rmse", x_title="k", smallest=True)
    assert any(trace.get("fill") == "toself" for trace in figure["data"]) is bands
    if bands:
        assert "best k = 0" in json.dumps(figure)


def test_no_curve_is_an_empty_chart() -> None:
    assert curves_figure([], {}, title="loss", x_title="step")["data"] == []


def scattered(runs: list[Run], x: str, y: str, **more: Any) -> dict[str, Any]:
    axes = {axis.key: axis for axis in axes_of(runs)}
    marks = run_colours(run.name for run in runs)
    return scatter_figure(runs, axes[x], axes[y], marks, x_title="<b>x", y_title="y%{z}", **more)


def test_a_run_without_one_of_the_values_is_no_point() -> None:
    runs = [run("a", {"k": "1"}, {"loss": 0.5}), run("b", {"k": "1000"}, {"loss": 0.1}), run("c", {"k": "3"})]
    figure = scattered(runs, "k", "metrics.loss", base="b")
    assert [trace["name"] for trace in figure["data"]] == ["a", "b"]
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert figure["data"][1]["marker"]["size"][0] > figure["data"][0]["marker"]["size"][0]
    assert figure["table"]["rows"] == [["a", 1.0, 0.5], ["b", 1000.0, 0.1]]
    assert figure["layout"]["xaxis"]["title"]["text"] == "&lt;b&gt;x"
    assert "y% {z}" in figure["data"][0]["hovertemplate"]


def test_many_points_are_one_trace_and_categories_stay_in_their_order() -> None:
    runs = [run(f"r{n}", {"index": f"<i>{n % 3}"}, {"loss": float(n)}) for n in range(LEGEND_MAX + 1)]
    figure = scattered(runs, "index", "metrics.loss")
    (trace,) = figure["data"]
    assert len(trace["x"]) == len(trace["marker"]["color"]) == len(runs)
    assert figure["layout"]["xaxis"]["categoryarray"] == ["&lt;i&gt;0", "&lt;i&gt;1", "&lt;i&gt;2"]
    assert trace["x"][0] == "&lt;i&gt;0"


def drawn(runs: list[Run], axes: list[Axis] | None = None, **more: Any) -> dict[str, Any]:
    return parallel_data(
        runs,
        axes_of(runs) if axes is None else axes,
        run_colours(one.name for one in runs),
        title=str.upper,
        url=lambda one: f"/{one.name}/",
        **({"key": "metrics.loss"} | more),
    )


def test_parallel_coordinates_have_a_value_per_axis_and_run() -> None:
    runs = [run("a", {"k": "auto"}, {"loss": 0.5}), run("b", {"k": "3"})]
    found = drawn(runs, state=[("brush", "0~1~metrics.loss"), ("axis", "k")])
    assert [(axis["key"], axis["title"], axis["kind"]) for axis in found["axes"]] == [
        ("k", "K", "category"),
        ("metrics.loss", "METRICS.LOSS", "linear"),
    ]
    assert [(one["url"], one["values"]) for one in found["runs"]] == [
        ("/a/", ["auto", 0.5]),
        ("/b/", ["3", None]),
    ]
    assert found["state"] == {"axis": ["k"], "brush": ["0~1~metrics.loss"], "pick": []}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(("n", "colour"), [(N_COLOURS, BY_RUN), (N_COLOURS + 1, "metrics.loss")])
def test_few_runs_are_coloured_by_themselves_and_many_by_how_good_they_are(n: int, colour: str) -> None:
    runs = [run(f"r{place}", {"k": str(place)}, {"loss": float(place)}) for place in range(n)]
    assert drawn(runs)["colour"] == drawn(runs, colour="unknown")["colour"] == colour
    assert drawn(runs, colour="k")["colour"] == "k"
    assert drawn(runs, colour=BY_RUN)["colour"] == BY_RUN
