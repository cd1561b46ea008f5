"""The tester of metric definitions: what is found where, what is refused, what of a long log is read."""

from __future__ import annotations

import pytest

from jobs.metric_tester import LINES_SHOWN, metric_test
from jobs.selectors.metric_tester import log_sample, training_job_metric_matches, training_job_metric_test
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append, log_end, log_stream_create
from tests.jobs.training.cast import cast_make, job_make

RMSE = {"name": "validation:rmse", "regex": r"validation-rmse:([0-9\.]+)"}
LOSS = {"name": "loss", "regex": r"loss=(\S+)"}


def lines(*texts: str) -> list[tuple[int, str]]:
    return list(enumerate(texts, start=1))


def test_values_are_found_with_their_place_and_counted() -> None:
    tested = metric_test(
        [RMSE, LOSS], lines("日本語 validation-rmse:0.25", "nothing", "loss=nan validation-rmse:0.5")
    )
    rmse = tested.definitions[0]
    assert (rmse.n_matches, rmse.first, rmse.last) == (2, 0.25, 0.5)
    assert (tested.n_lines, tested.n_lines_matched) == (3, 2)
    first = tested.lines[0]
    assert first.text[first.found[0].begin : first.found[0].end] == "0.25"
    assert {one.name for one in tested.lines[1].found} == {"validation:rmse", "loss"}


def test_a_definition_that_is_refused_is_named_and_the_others_are_tried() -> None:
    tested = metric_test([{"name": "a", "regex": "(?=x)(y)"}, RMSE], lines("validation-rmse:1"))
    assert "is not accepted" in tested.definitions[0].refusal
    assert (tested.definitions[1].refusal, tested.definitions[1].n_matches) == ("", 1)


def test_a_group_that_is_no_number_is_no_match() -> None:
    [loss, rmse] = metric_test([LOSS, RMSE], lines("loss=high", "loss=low validation-rmse:1")).definitions
    assert (loss.n_matches, loss.n_not_numbers, loss.not_number) == (0, 2, "high")
    assert (rmse.n_matches, rmse.n_not_numbers, rmse.not_number) == (1, 0, "")


def test_two_definitions_of_one_name_are_refused_at_the_second() -> None:
    tested = metric_test([RMSE, RMSE], lines("validation-rmse:1"))
    assert "used twice" in tested.definitions[1].refusal and not tested.definitions[0].refusal


def test_more_definitions_than_a_job_may_have_are_refused() -> None:
    many = [{"name": f"m{n}", "regex": "(1)"} for n in range(41)]
    with pytest.raises(InvalidRequest, match="at most 40"):
        metric_test(many, lines("1"))
    assert len(metric_test(many[:40], lines("1")).definitions) == 40


def test_all_matches_are_counted_and_the_first_are_shown() -> None:
    tested = metric_test([RMSE], lines(*(f"validation-rmse:{n}" for n in range(LINES_SHOWN + 7))))
    assert len(tested.lines) == LINES_SHOWN
    assert tested.definitions[0].n_matches == tested.n_lines_matched == LINES_SHOWN + 7


def test_of_a_long_log_the_beginning_and_the_end_are_read(db: None) -> None:
    stream = log_stream_create()
    log_append(stream=stream, lines=[LogLines.of(f"line {n} {'x' * 90}", n) for n in range(1, 10_001)])
    log_end(stream=stream)
    sample = log_sample(stream=stream, part_bytes=50_000)
    numbers = [number for number, _text in sample.lines()]
    assert (numbers[0], numbers[-1]) == (1, 10_000)
    assert len(numbers) + sample.n_left_out == 10_000 and sample.n_left_out > 1000
    assert all(text.startswith(f"line {number} ") for number, text in sample.lines())


def test_a_short_log_is_read_whole_and_carriage_returns_end_no_line(db: None) -> None:
    stream = log_stream_create()
    log_append(stream=stream, lines=[LogLines.of("10%\r20%", 1), LogLines.of("validation-rmse:1", 2)])
    sample = log_sample(stream=stream)
    assert (sample.n_left_out, list(sample.lines())) == (0, [(1, "10%\r20%"), (2, "validation-rmse:1")])


def test_the_log_of_a_job_is_tried_by_who_may_see_the_job(db: None) -> None:
    cast = cast_make()
    job = job_make(cast.alice, "knn-1")
    log_append(stream=job.log, lines=[LogLines.of("begin", 1), LogLines.of("validation-rmse:1.5", 2)])
    tested, sample = training_job_metric_test(actor=cast.bob, name="knn-1", definitions=[RMSE])
    assert tested.definitions[0].last == 1.5 and sample.n_left_out == 0
    [match] = training_job_metric_matches(actor=cast.bob, name="knn-1", definitions=[RMSE])
    assert (match.value, match.line) == (1.5, 2)
    with pytest.raises(NotFound):
        training_job_metric_test(actor=cast.charlie, name="knn-1", definitions=[RMSE])
