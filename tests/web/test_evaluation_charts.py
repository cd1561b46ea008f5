"""Charts of evaluations and neighbours as data."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from endpoints.neighbours import means_by_k, votes_by_k
from mlplatform.web.charts.evaluations import (
    Series,
    accuracy_by_k,
    by_k_summary,
    metrics_by_k,
    metrics_of,
)
from mlplatform.web.charts.k_lines import best_place, dash, symbol
from mlplatform.web.charts.latency import batch_line, single_histogram
from mlplatform.web.charts.neighbours import means_figure, votes_figure
from tests.web.evaluations import Made, result_made

SCORES = {
    "k": [1, 2, 3, 4],
    "accuracy": [0.8, 0.9, 0.9, 0.7],
    "intervals": {"accuracy": [[0.7, 0.9], [0.8, 1.0], [0.8, 1.0], [0.6, 0.8]]},
}
FLAT = {"k": None, "accuracy": [0.85], "intervals": {"accuracy": [[0.75, 0.95]]}}
ERRORS = {"k": [1, 2, 3], "rmse": [3.0, 1.0, 2.0], "mae": [2.0, 0.5, 1.0]}


def named(figure: dict[str, Any], mode: str) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace["mode"].startswith(mode) and "fill" not in trace]


def bands(figure: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace.get("fill") == "toself"]


def test_a_line_has_its_interval_as_a_band_and_its_best_k_as_a_star() -> None:
    figure = accuracy_by_k([Series("flat", SCORES)], "accuracy")
    (line,), (band,) = named(figure, "lines"), bands(figure)
    assert (line["x"], line["y"]) == ([1, 2, 3, 4], [0.8, 0.9, 0.9, 0.7])
    assert band["x"] == [1, 2, 3, 4, 4, 3, 2, 1]
    assert band["y"] == [0.9, 1.0, 1.0, 0.8, 0.6, 0.8, 0.8, 0.7]
    star = figure["data"][-1]
    assert (star["x"], star["y"], star["text"]) == ([2], [0.9], ["best k = 2"])  # the smaller of equal ones
    assert figure["table"]["columns"] == ["k", "Accuracy", "interval from", "interval to"]
    assert figure["table"]["rows"][2] == [3, 0.9, 0.8, 1.0]
    assert figure["layout"]["showlegend"] is False


def test_lines_side_by_side_differ_in_colour_dash_and_marker_and_keep_them_alone() -> None:
    series = [Series(f"cell {n}", SCORES, n) for n in range(20)]
    lines = named(accuracy_by_k(series, "accuracy"), "lines")
    looks = [(one["line"]["color"], one["line"]["dash"], one["marker"]["symbol"]) for one in lines]
    assert len(set(looks)) == 20
    alone = named(accuracy_by_k([series[13]], "accuracy"), "lines")[0]
    assert alone["line"] == lines[13]["line"]
    assert (dash(13), symbol(13)) == (looks[13][1], looks[13][2])
    figure = accuracy_by_k(series, "accuracy")
    assert figure["layout"]["showlegend"] is True
    assert figure["table"]["columns"][0] == "Series" and len(figure["table"]["rows"]) == 80
    groups = {trace["legendgroup"] for trace in figure["data"]}
    assert len(groups) == 20  # a line disappears with its band and its star


def test_what_has_no_k_is_level_beside_what_has_and_a_point_where_nothing_has() -> None:
    mixed = accuracy_by_k([Series("k", SCORES, 0), Series("none", FLAT, 1)], "accuracy")
    level = named(mixed, "lines")[1]
    assert (level["x"], level["y"]) == ([1, 4], [0.85, 0.85])
    assert sum(trace["marker"].get("symbol") == "star" for trace in mixed["data"] if "marker" in trace) == 1
    points = accuracy_by_k([Series("one", FLAT, 0), Series("two", FLAT, 1)], "accuracy")
    (trace,) = points["data"]
    assert (trace["x"], trace["y"]) == ([0.85, 0.85], ["one", "two"])
    assert trace["error_x"]["array"] == pytest.approx([0.1, 0.1])
    assert trace["error_x"]["color"].startswith("var(--")  # Plotly's own is black, on dark pages too
    assert points["table"]["rows"][0] == ["one", 0.85, 0.75, 0.95]


def test_of_errors_the_smallest_is_the_best() -> None:
    figure = metrics_by_k(ERRORS)
    assert [trace["x"] for trace in figure["data"] if trace["mode"] == "markers"] == [[2], [2]]
    assert figure["layout"]["yaxis"]["title"]["text"] == "error"
    with translation.override("ja"):
        assert metrics_by_k(ERRORS)["layout"]["yaxis"]["title"]["text"] != "エラー"  # which is a failure
    assert bands(figure) == []
    assert best_place([None, 2.0, None, 1.0], smallest=True) == 3
    assert best_place([None], smallest=False) is None


def test_one_metric_has_the_same_look_as_among_all_of_them() -> None:
    _summary, result, _content = result_made(Made())
    quality = result["quality"]
    assert metrics_of(quality) == ["accuracy", "f1_weighted", "f1_macro", "f1_micro"]
    every = {one["name"]: one["line"] for one in named(metrics_by_k(quality), "lines")}
    (alone,) = named(metrics_by_k(quality, ["f1_macro"], log_k=True), "lines")
    assert alone["line"] == every["F1 (macro)"]
    figure = metrics_by_k(quality, ["f1_macro"], log_k=True)
    assert (figure["layout"]["xaxis"]["type"], figure["layout"]["yaxis"]["title"]["text"]) == (
        "log",
        "F1 (macro)",
    )
    assert metrics_by_k(quality, ["nothing"])["data"] == []


def test_no_trace_of_the_largest_result_is_more_than_a_browser_draws() -> None:
    _summary, result, _content = result_made(Made(k_max=1024, k=1024, n_rows=100))
    figure = metrics_by_k(result["quality"])
    assert all(len(trace["x"]) <= 5000 for trace in figure["data"])
    assert all("gl" not in trace["type"] for trace in figure["data"])


def test_the_chart_in_words_says_the_best_of_every_series() -> None:
    words = by_k_summary([Series("flat", SCORES), Series("all", FLAT), Series("none", {})], "accuracy")
    assert words == "Accuracy; flat: best 0.9 at k = 2, of k from 1 to 4; all: 0.85"


def test_two_k_are_a_line_with_its_best_and_a_single_one_is_a_point_beside_longer_lines() -> None:
    two = {"k": [1, 2], "accuracy": [0.8, 0.9]}
    one = {"k": [1], "accuracy": [0.8], "intervals": {"accuracy": [[0.7, 0.85]]}}
    figure = accuracy_by_k([Series("two", two, 0), Series("one", one, 1)], "accuracy")
    stars = [trace["x"] for trace in figure["data"] if trace.get("marker", {}).get("symbol") == "star"]
    assert stars == [[2]]
    error = named(figure, "lines")[1]["error_y"]
    assert (error["array"], error["arrayminus"]) == (pytest.approx([0.05]), pytest.approx([0.1]))
    alone = accuracy_by_k([Series("one", one)], "accuracy")
    assert alone["data"][0]["error_x"]["arrayminus"] == pytest.approx([0.1])
    assert by_k_summary([Series("", one)], "accuracy") == "Accuracy; 0.8"


def test_missing_scores_and_intervals_leave_gaps_and_break_nothing() -> None:
    holes = {
        "k": [1, 2, 3],
        "accuracy": [None, 0.5, None],
        "intervals": {"accuracy": [None, [0.4, None], [None, None]]},
    }
    figure = accuracy_by_k([Series("", holes)], "accuracy")
    assert bands(figure)[0]["x"] == []
    assert figure["data"][-1]["x"] == [2]
    assert accuracy_by_k([], "accuracy")["data"] == []


# Latency


def test_batches_keep_their_own_numbers_where_some_were_not_timed() -> None:
    latency = {"batch_ms": [5.0, 7.0], "batch_numbers": [1, 14], "batch_mean_ms": 6.0}
    figure = batch_line(latency)
    assert figure["data"][0]["x"] == [1, 14]
    assert figure["table"]["rows"] == [[1, 5.0], [14, 7.0]]
    assert "dtick" not in figure["layout"]["xaxis"]
    del latency["batch_numbers"]
    assert batch_line(latency)["data"][0]["x"] == [1, 2]


def test_the_histogram_has_every_call_and_marks_its_percentiles() -> None:
    _summary, result, _content = result_made(Made())
    figure = single_histogram(result["latency"])
    bars, *marks = figure["data"]
    assert sum(bars["y"]) == 2000
    assert bars["x"] == result["latency"]["single_histogram"]["edges_ms"]
    assert [mark["name"] for mark in marks] == ["p50", "p90", "p99"]
    assert marks[2]["x"][0] == result["latency"]["single_p99_ms"]
    assert sum(row[2] for row in figure["table"]["rows"]) == 2000
    assert "type" not in figure["layout"]["xaxis"]
    geometric = {"single_histogram": {"edges_ms": [1, 2, 4, 8], "counts": [5, 2, 0]}, "single_p50_ms": None}
    figure = single_histogram(geometric)
    assert figure["layout"]["xaxis"]["type"] == "log" and len(figure["data"]) == 1


def test_batches_are_in_their_order_with_their_mean() -> None:
    figure = batch_line({"batch_ms": [3.0, 5.0], "batch_mean_ms": 4.0})
    assert (figure["data"][0]["x"], figure["data"][0]["y"]) == ([1, 2], [3.0, 5.0])
    assert figure["layout"]["shapes"][0]["y0"] == 4.0
    assert batch_line({"batch_ms": [1.0]})["layout"]["shapes"] == []


# Votes


def test_the_strip_has_a_bar_for_every_k_in_the_colour_of_the_winner() -> None:
    figure = votes_figure(
        votes_by_k([1, 1, 2, 2, 2], true=2.0), {1.0: "犬", 2.0: "<b>猫"}, k=3, true_label="<b>猫"
    )
    first, second, line = figure["data"]
    assert (first["name"], first["x"], first["y"]) == ("犬", [1, 2, 3, 4], [1, 1, 2 / 3, 0.5])
    assert (second["name"], second["x"], second["y"]) == ("&lt;b&gt;猫", [5], [0.6])
    assert line["y"] == [0, 0, 1 / 3, 0.5, 0.6]
    assert first["marker"]["pattern"]["shape"] != second["marker"]["pattern"]["shape"]
    frame = figure["layout"]["shapes"][0]
    assert (frame["x0"], frame["x1"]) == (2.5, 3.5)
    assert figure["table"]["rows"][4] == [5, "<b>猫", 3, 0.6, 3]


def test_without_a_true_label_there_is_no_line_of_it() -> None:
    figure = votes_figure(votes_by_k([1.0]), {1.0: "a"}, k=1)
    assert len(figure["data"]) == 1 and len(figure["table"]["columns"]) == 4


def test_means_are_a_line_and_the_true_value_is_level() -> None:
    figure = means_figure(means_by_k([1.0, 3.0]), k=2, true=2.5)
    assert [trace["y"] for trace in figure["data"]] == [[1.0, 2.0], [2.5, 2.5]]
    assert len(means_figure(means_by_k([1.0]), k=1)["data"]) == 1
