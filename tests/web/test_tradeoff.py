"""The trade-off as data: its figure, its limits, the answer in words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.translation import override

from endpoints.models import Evaluation, ExperimentCell
from endpoints.tradeoff import Point
from mlplatform.web.charts.digits import rounded
from mlplatform.web.charts.tradeoff import Axes, Limits, Spot, tradeoff_figure, tradeoff_summary
from mlplatform.web.experiment_cells import (
    CellView,
    Counts,
    cell_counts,
    drawn,
    fraction_done,
    remaining_s,
    worked_s,
)
from mlplatform.web.own_k import own_k
from mlplatform.web.sliders import latency_slider, quality_slider
from mlplatform.web.templatetags.experiments import cell_bar, series_mark
from mlplatform.web.tradeoff import Tradeoff, nearest

AXES = Axes("Accuracy", "Latency, ms", "USD per hour")
GOOD, QUICK, CHEAP = (
    Spot("good", 0.97, 40.0, 1.125, 0, on_front=True),
    Spot("quick", 0.90, 1.0, 1.125, 1, on_front=True),
    Spot("cheap", 0.90, 30.0, 0.0, 9, on_front=True),
)
WORSE = Spot("worse <b>", 0.89, 35.0, 0.2, 3)


def view(number: int, *, metric: str = "accuracy", price: float = 0.2, **summary: Any) -> CellView:
    """A completed cell that was measured so."""
    given = {"metric": metric, "has_k": True, "k_best": 3, "k": 10, "batch_size": 500, "batch_mean_ms": 50.0}
    evaluation = Evaluation(
        pk=number, name=f"e{number}", facts={"price_per_hour": price}, summary=given | summary
    )
    cell = ExperimentCell(
        pk=number, position=number, configuration="Flat", sample_size=number * 1000,
        instance_type="local.cpu", status="Completed", evaluation=evaluation,
    )  # fmt: skip
    return CellView(cell, number - 1)


VIEWS = [
    view(1, best=0.95, value=0.91, single_mean_ms=0.5, price=0.1),
    view(2, best=0.97, value=0.93, single_mean_ms=5.0, price=0.4),
    view(3, best=0.96, value=0.94, single_mean_ms=4.0, price=0.2),
]


def lines_of(figure: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace["mode"] == "lines"]


def test_a_spot_keeps_its_colour_and_its_marker_and_grows_with_its_cost() -> None:
    figure = tradeoff_figure([GOOD, QUICK, CHEAP, WORSE], AXES)
    spots = {trace["name"]: trace["marker"] for trace in figure["data"] if trace["mode"] == "markers"}
    assert spots["quick"]["color"] == spots["cheap"]["color"] == ["var(--chart-2)"]
    assert spots["quick"]["symbol"] == ["diamond"]
    sizes = {name: marker["size"][0] for name, marker in spots.items()}
    assert sizes["good"] == sizes["quick"] > sizes["worse <b>"] > sizes["cheap"]
    assert spots["worse <b>"]["opacity"] < spots["good"]["opacity"]
    assert figure["data"][-1]["text"][0].startswith("<b>worse &lt;b&gt;</b>")


def test_the_front_is_a_staircase_of_the_best_for_each_latency() -> None:
    (line,) = (
        trace
        for trace in tradeoff_figure([GOOD, QUICK, CHEAP, WORSE], AXES)["data"]
        if trace["mode"] == "lines"
    )
    assert (line["x"], line["y"], line["line"]["shape"]) == ([1.0, 40.0], [0.90, 0.97], "hv")
    errors = replace(AXES, smallest=True)
    (line,) = (
        trace for trace in tradeoff_figure([GOOD, QUICK, WORSE], errors)["data"] if trace["mode"] == "lines"
    )
    assert line["y"] == [0.90, 0.89]


def test_an_axis_of_latencies_far_apart_is_logarithmic_and_its_ticks_are_written_out() -> None:
    axis = tradeoff_figure([GOOD, QUICK], AXES)["layout"]["xaxis"]
    assert axis["type"] == "log"
    assert axis["range"][0] < 0 and axis["range"][1] > 1.6
    assert axis["ticktext"] == ["1", "2", "5", "10", "20", "50"]
    near = tradeoff_figure([GOOD, CHEAP], AXES)["layout"]["xaxis"]
    assert near["type"] == "linear" and near["range"] == [0.0, pytest.approx(44.8)]


def test_what_is_asked_for_is_a_shaded_corner_within_the_axes_and_the_answer_has_a_ring() -> None:
    figure = tradeoff_figure([GOOD, QUICK], AXES, Limits(0.95, 1e6), chosen=GOOD)
    corner = figure["layout"]["shapes"][0]
    assert corner["y0"] == 0.95 and corner["y1"] == figure["layout"]["yaxis"]["range"][1]
    assert corner["x1"] == pytest.approx(10 ** figure["layout"]["xaxis"]["range"][1])
    ring = figure["data"][-1]
    assert (ring["x"], ring["y"], ring["marker"]["symbol"]) == ([40.0], [0.97], "circle-open")


def test_many_spots_are_one_trace_without_a_legend_and_the_table_has_them_all() -> None:
    many = [Spot(f"c{n}", 0.9 + n / 10_000, 1.0 + n, 0.1, n) for n in range(500)]
    figure = tradeoff_figure(many, AXES)
    markers = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert len(markers) == 1 and len(markers[0]["x"]) == 500
    assert figure["layout"]["showlegend"] is False
    assert len(figure["table"]["rows"]) == 500


def test_a_figure_of_nothing_and_of_one_spot() -> None:
    assert tradeoff_figure([], AXES)["data"] == []
    assert "measured" in tradeoff_summary([], AXES)
    one = tradeoff_figure([replace(GOOD, cost=None)], AXES)
    low, high = one["layout"]["yaxis"]["range"]
    assert low < 0.97 < high and one["layout"]["xaxis"]["range"][1] > 40
    assert tradeoff_summary([GOOD, WORSE], AXES) == "Pareto front: good: 0.97, 40 ms"


def test_the_cheapest_within_the_limits_is_the_answer() -> None:
    verdict = Tradeoff.of(VIEWS, {"at": "best", "quality": "0.955", "latency": "10"}).verdict
    assert verdict.within and verdict.view is VIEWS[2]
    assert verdict.sentence == "Cheapest with accuracy of at least 0.955 within 10 ms:"
    assert verdict.facts == "0.2 USD per hour, accuracy 0.96 at k = 3, 4 ms"
    assert verdict.own_k is not None and verdict.own_k.sentence == (
        "The endpoint answers with k = 10 (accuracy 0.9400); for k = 3 train again with k = 3."
    )


def test_unless_asked_the_quality_is_the_one_that_an_endpoint_answers_with() -> None:
    tradeoff = Tradeoff.of(VIEWS, {"quality": "0.935", "latency": "10"})
    assert tradeoff.measures.at == "own" and tradeoff.axes.quality == "Accuracy at the model's k"
    assert tradeoff.verdict.facts == "0.2 USD per hour, accuracy 0.94 at k = 10, 4 ms"
    assert tradeoff.verdict.own_k is None


def test_a_model_whose_k_is_the_best_needs_no_other() -> None:
    assert own_k({"k": 3, "k_best": 3, "value": 0.9, "metric": "accuracy"}) is None
    assert own_k({"k": None, "k_best": None, "value": 0.9, "metric": "accuracy"}) is None
    error = own_k({"k": 9, "k_best": 3, "value": 1.23456, "metric": "rmse"})
    assert error is not None and error.quality == "RMSE 1.235"


def test_only_the_time_in_which_cells_were_worked_on_counts_and_only_once() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def worked(start: int, end: int | None) -> CellView:
        found = view(1)
        found.cell.started_at = noon + timedelta(seconds=start)
        found.cell.ended_at = None if end is None else noon + timedelta(seconds=end)
        return found

    skipped = view(2)
    skipped.cell.ended_at = noon + timedelta(days=1)
    assert worked_s([worked(0, 10), worked(5, 8), worked(20, 25), skipped], now=noon) == 15.0
    assert worked_s([worked(0, None)], now=noon + timedelta(seconds=7)) == 7.0
    assert worked_s([skipped], now=noon) is None


def test_what_is_skipped_is_no_progress_and_what_only_waits_has_no_time_left() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    done, skipped, waiting = view(1), view(2), view(3)
    done.cell.started_at, done.cell.ended_at = noon, noon + timedelta(seconds=10)
    skipped.cell.status, waiting.cell.status = "Skipped", "Pending"
    assert fraction_done([done, skipped, waiting]) == 0.5
    assert fraction_done([skipped]) == fraction_done([]) == 0.0
    given: dict[str, Any] = {"parallelism": 1, "served": ["cpu"], "now": noon + timedelta(seconds=20)}
    assert remaining_s([done, waiting], **given) is None
    going = view(4)
    going.cell.status, going.cell.started_at = "Training", noon + timedelta(seconds=20)
    assert remaining_s([done, waiting, going], **given) == 20.0


def test_where_nothing_is_within_the_limits_the_nearest_is_named() -> None:
    verdict = Tradeoff.of(VIEWS, {"at": "best", "quality": "0.96", "latency": "1"}).verdict
    assert not verdict.within and verdict.view is VIEWS[0]
    assert verdict.sentence.startswith("No cell has accuracy of at least 0.96 within 1 ms.")


def test_the_measures_of_the_address_are_compared() -> None:
    own = Tradeoff.of(VIEWS, {"at": "own", "quality": "0.935", "latency": "10"}).verdict
    assert own.view is VIEWS[2] and "accuracy 0.94 at k = 10" in own.facts
    batch = Tradeoff.of(VIEWS, {"x": "batch", "cost": "million"})
    assert {point.latency_ms for point in batch.points} == {50.0}
    assert [round(float(point.cost), 6) for point in batch.points] == pytest.approx(
        [price / 3600 * 0.05 / 500 * 1e6 for price in (0.1, 0.4, 0.2)], rel=1e-3
    )


def test_an_error_is_better_when_it_is_smaller() -> None:
    views = [
        view(1, metric="rmse", best=2.0, value=2.2, single_mean_ms=1.0, price=0.1),
        view(2, metric="rmse", best=1.5, value=1.7, single_mean_ms=2.0, price=0.4),
    ]
    tradeoff = Tradeoff.of(views, {"at": "best", "quality": "1.6", "latency": "5"})
    assert tradeoff.verdict.view is views[1]
    assert tradeoff.verdict.sentence == "Cheapest with RMSE of at most 1.6 within 5 ms:"
    assert [spot.quality for spot in tradeoff.spots] == [2.0, 1.5]
    assert tradeoff.front == {0, 1}


def test_a_cell_without_a_quality_is_no_candidate() -> None:
    unlabelled = view(4, best=None, value=None, single_mean_ms=1.0)
    assert [found.place for found in Tradeoff.of([*VIEWS, unlabelled], {}).views] == [0, 1, 2]
    nothing = Tradeoff.of([unlabelled], {}).verdict
    assert nothing.view is None and nothing.sentence == "No cell has been measured yet."


def test_the_nearest_misses_by_the_least() -> None:
    points = [Point("slow", 0.97, 11.0, 1.0), Point("bad", 0.80, 5.0, 0.1)]
    assert nearest(points, quality_least=0.96, latency_most=10.0) is points[0]
    assert nearest(points, quality_least=0.81, latency_most=5.0) is points[1]
    assert nearest([], quality_least=0.9, latency_most=1.0) is None
    assert nearest(points, quality_least=0.9, latency_most=0.0) is not None


def test_without_a_wish_the_limits_leave_something_to_choose_from() -> None:
    quality = quality_slider([0.80, 0.95, 0.97], None, smallest=False)
    assert (quality.low, quality.high, quality.value) == (0.8, 0.97, 0.96)
    latency = latency_slider([0.314, 61.7], None)
    assert (latency.low, latency.high, latency.value) == (0.31, 62.0, 62.0)
    error = quality_slider([1.5, 2.0], None, smallest=True)
    assert error.low <= 1.5 < error.value <= error.high


@pytest.mark.parametrize("values", [[], [0.5], [0.0], [0.9, 0.9], [1e-9, 1e9]])
def test_limits_of_any_values_are_numbers_in_order(values: list[float]) -> None:
    for slider in (
        quality_slider(values, None, smallest=False),
        quality_slider(values, None, smallest=True),
        latency_slider(values, None),
    ):
        assert slider.low <= slider.value <= slider.high and slider.step > 0


def test_a_full_width_limit_is_a_number() -> None:
    assert quality_slider([0.5, 0.9], "０．９５", smallest=False).value == 0.95
    assert latency_slider([1.0], "abc").value == latency_slider([1.0], None).value


def test_the_best_are_drawn_where_none_are_chosen_and_never_more_than_twenty() -> None:
    many = [view(n, best=n / 100, value=0.1, single_mean_ms=1.0) for n in range(1, 51)]
    assert [one.number for one in drawn(many, [])] == list(range(31, 51))
    assert [one.number for one in drawn(many, ["7", "3", "x", "999"])] == [3, 7]
    assert len(drawn(many, [str(n) for n in range(1, 41)])) == 20
    assert len(drawn(many, ["999"])) == 20


def test_a_figure_has_no_more_digits_than_can_be_seen() -> None:
    figure = {
        "data": [{"x": [1, 2], "y": [0.123456789, 1e-9 / 3, None], "name": "a"}],
        "layout": {"t": (2.0, True)},
    }
    assert rounded(figure) == {
        "data": [{"x": [1, 2], "y": [0.123457, 3.33333e-10, None], "name": "a"}],
        "layout": {"t": [2.0, True]},
    }


def test_counts_are_said_in_words_and_drawn_in_proportion() -> None:
    counts = cell_counts({"Completed": 5, "Failed": 1, "Pending": 2, "Training": 1, "Stopped": 1})
    assert (counts.n, counts.done, counts.ended, counts.active) == (10, 5, 7, 1)
    html = cell_bar(counts)
    widths = [
        float(width) for width in re.findall(r'<rect class="bar-\w+" x="[\d.]+" y="0" width="([\d.]+)"', html)
    ]
    assert widths == [41.0, 7.4, 7.4, 15.8, 7.4]
    words = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert words == "5 of 10 cells 1 failed 1 running 2 waiting 1 stopped"
    assert "<rect" not in cell_bar(Counts())
    with override("ja"):
        assert "5" in cell_bar(counts)


def test_the_mark_of_a_series_has_its_colour_dash_and_shape() -> None:
    marks = [series_mark(place) for place in range(16)]
    assert len(set(marks)) == 16
    assert "series-1" in marks[8] and marks[8] != marks[0]
