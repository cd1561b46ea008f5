"""Charts as data."""

from __future__ import annotations

import random
from typing import Any

import pytest

from jobs.selectors.metrics import MetricSeries
from mlplatform.web.charts.bars import count_bars
from mlplatform.web.charts.scatter_matrix import MAX_COLUMNS, correlation, scatter_matrix
from mlplatform.web.charts.sparkline import sparkline_path
from mlplatform.web.charts.training_jobs import metric_figure


def profile(columns: dict[str, tuple[str, list[Any]]], label: str | None = None) -> dict[str, Any]:
    names = list(columns)
    rows = [list(row) for row in zip(*(values for _, values in columns.values()), strict=True)]
    schema = {"columns": names, "types": [kind for kind, _ in columns.values()], "label": None}
    schema["label"] = names.index(label) if label else None
    return {"schema": schema, "sample": {"rows": rows}}


def test_a_matrix_of_three_columns_has_three_panels_per_class_and_a_histogram_on_the_diagonal() -> None:
    table = profile(
        {
            "a": ("fractional", [1.0, 2.0, 3.0, 4.0]),
            "b": ("integral", [4, 3, 2, 1]),
            "c": ("fractional", [1.0, None, 1.0, 3.0]),
            "kind": ("text", ["x", "y", "x", "y"]),
        },
        label="kind",
    )
    matrix = scatter_matrix(table)
    assert matrix is not None
    points = [trace for trace in matrix.figure["data"] if trace["type"] == "scatter"]
    bars = [trace for trace in matrix.figure["data"] if trace["type"] == "bar"]
    assert len(points) == 3 * 2
    assert len(bars) == 3 * 2
    assert matrix.names == ["a", "b", "c"]
    first = next(trace for trace in points if trace["name"] == "x" and trace["yaxis"] == "y2")
    assert (first["x"], first["y"], first.get("xaxis")) == ([1.0, 3.0], [4.0, 2.0], "x")
    assert sum(sum(trace["y"]) for trace in bars) == 4 + 4 + 3  # the missing value is in no bar


def test_classes_differ_in_colour_and_in_symbol() -> None:
    table = profile(
        {"a": ("fractional", [1.0, 2.0]), "b": ("fractional", [1.0, 2.0]), "y": ("integral", [0, 1])},
        label="y",
    )
    matrix = scatter_matrix(table)
    assert matrix is not None
    markers = [trace["marker"] for trace in matrix.figure["data"] if trace["type"] == "scatter"]
    assert len({marker["color"] for marker in markers}) == len({marker["symbol"] for marker in markers}) == 2


def test_a_label_with_many_values_colours_nothing() -> None:
    table = profile(
        {"a": ("fractional", [float(n) for n in range(30)]), "b": ("fractional", [float(n) for n in range(30)]),
         "y": ("fractional", [n / 7 for n in range(30)])},
        label="y",
    )  # fmt: skip
    matrix = scatter_matrix(table)
    assert matrix is not None
    assert {trace["name"] for trace in matrix.figure["data"]} == {""}


def test_no_more_than_eight_columns_and_no_more_points_than_a_browser_draws() -> None:
    table = profile({f"c{n}": ("fractional", [random.random() for _ in range(1000)]) for n in range(12)})
    matrix = scatter_matrix(table)
    assert matrix is not None
    assert len(matrix.names) == MAX_COLUMNS
    assert matrix.n_left_out == 4
    drawn = [trace for trace in matrix.figure["data"] if trace["type"] == "scatter"]
    assert sum(len(trace["x"]) for trace in drawn) <= 12_000
    assert all(len(trace["x"]) <= 5000 for trace in drawn)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ("fractional", [1.0, 2.0]), "t": ("text", ["x", "y"])},
        {"a": ("fractional", []), "b": ("fractional", [])},
        {"t": ("text", ["x"]), "u": ("boolean", [True])},
    ],
)
def test_there_is_no_matrix_without_two_number_columns_and_rows(columns: Any) -> None:
    assert scatter_matrix(profile(columns)) is None


def test_a_constant_column_and_one_without_values_are_drawn_all_the_same() -> None:
    matrix = scatter_matrix(profile({"a": ("fractional", [2.0, 2.0]), "b": ("fractional", [None, None])}))
    assert matrix is not None
    texts = [note["text"] for note in matrix.figure["layout"]["annotations"]]
    assert texts == ["–"]


def test_correlation_is_pearsons_and_undefined_where_it_is_not_defined() -> None:
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert correlation([1, 2, 3, None], [3, 2, 1, 9]) == pytest.approx(-1)
    assert correlation([1, 1], [1, 2]) is None
    assert correlation([1], [1]) is None


def test_a_sparkline_goes_from_edge_to_edge_with_zero_at_the_bottom() -> None:
    line, area = sparkline_path([0, 5, 10], width=100, height=20, inset=0)
    assert line == "M0.0 20.0 L50.0 10.0 L100.0 0.0"
    assert area.endswith("L100 20 L0 20 Z")
    assert sparkline_path([], width=100, height=20) == ("", "")
    assert sparkline_path([0, 0], width=10, height=10, inset=0)[0] == "M0.0 10.0 L10.0 10.0"


def test_bars_stand_on_the_ground_and_a_small_count_can_still_be_seen() -> None:
    bars = count_bars([0, 1, 1000], width=30, height=20)
    assert [bar.height for bar in bars] == [0, 1, 20]
    assert all(bar.y + bar.height == 20 for bar in bars)
    assert count_bars([], width=30, height=20) == []


def test_one_point_is_shown_with_its_value_and_no_axis_around_nothing() -> None:
    one = MetricSeries("test:accuracy", 1, 0.9737, 0.9737, 0.9737, [(1_000, 0, 0.9737)])
    figure = metric_figure([one])
    assert figure["data"][0]["text"] == ["0.9737"]
    assert figure["layout"]["xaxis"]["tickvals"] == [0]
    assert figure["layout"]["yaxis"]["rangemode"] == "tozero"
    two = MetricSeries("test:loss", 2, 1.0, 1.0, 2.0, [(1_000, 0, 2.0), (2_000, 1, 1.0)])
    assert "tickvals" not in metric_figure([one, two])["layout"]["xaxis"]
