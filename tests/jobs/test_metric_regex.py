"""Metric definitions: RE2 only, refused with a reason, and never slow."""

from __future__ import annotations

import math
import time

import pytest

from jobs.metric_regex import (
    MetricDefinition,
    MetricMatcher,
    metric_definition_check,
    metric_matches,
)
from mlplatform.core.errors import InvalidRequest


def _refusal(*definitions: object) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        metric_definition_check(definitions)  # type: ignore[arg-type]
    return {error.field: error.message for error in refused.value.errors}


def test_the_tester_shows_what_is_found_on_which_line() -> None:
    definitions = [
        {"name": "train:loss", "regex": r"loss=([0-9.eE+-]+)"},
        {"name": "精度", "regex": r"精度: (\S+)|acc: (\S+)"},
    ]
    found = metric_matches(definitions, "epoch 1 loss=0.5\n精度: 0.9\nacc: 1e-3 loss=2\nloss=x acc: -inf")
    assert [(match.name, match.value, match.line) for match in found] == [
        ("train:loss", 0.5, 1),
        ("精度", 0.9, 2),
        ("train:loss", 2.0, 3),
        ("精度", 0.001, 3),
        ("精度", -math.inf, 4),
    ]


def test_the_services_own_expression_is_accepted() -> None:
    regex = r"#quality_metric: host=\S+, test accuracy <score>=(\S+)"
    line = "#quality_metric: host=algo-1, test accuracy <score>=0.9736842105263158"
    assert metric_matches([{"name": "test:accuracy", "regex": regex}], line)[0].value == 0.9736842105263158


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("loss=(", "missing )"),
        ("(?=loss)(.)", "invalid perl operator"),
        (r"(\w)\1", "invalid escape sequence"),
        ("(a{1001})", "repetition"),
        ("(((a{100}){100}){100})", "repetition"),
        ("loss=[0-9]+", "no group"),
        ("", "1 to 500"),
        ("x" * 501, "501 characters"),
        ("\ud800(.)", "Unicode"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_with_its_reason(regex: str, said: str) -> None:
    assert said in _refusal({"name": "m", "regex": regex})["metric_definitions[0].regex"]


@pytest.mark.parametrize("regex", [r"loss=(([0-9]+)+)x", r"(.*.*.*=x)", r"((a|aa)+)b", r"(x+x+)+y"])
def test_an_expression_that_would_run_for_hours_elsewhere_takes_no_time(regex: str) -> None:
    text = "loss=" + "1" * 100_000 + "a" * 100_000 + "x" * 100_000
    begun = time.monotonic()
    metric_matches([{"name": "m", "regex": regex}], text)
    assert time.monotonic() - begun < 1


def test_everything_wrong_is_said_at_once() -> None:
    wrong = _refusal(
        {"name": "a", "regex": "(.)"},
        {"name": "a", "regex": "(.)"},
        {"name": "", "regex": "("},
        {"regex": "(.)", "unit": "s"},
    )
    assert set(wrong) == {
        "metric_definitions[1].name",
        "metric_definitions[2].name",
        "metric_definitions[2].regex",
        "metric_definitions[3].name",
        "metric_definitions[3].unit",
    }


def test_more_than_forty_definitions_are_refused() -> None:
    definitions = [{"name": str(n), "regex": "(.)"} for n in range(41)]
    assert "at most 40" in _refusal(*definitions)["metric_definitions"]
    assert len(metric_definition_check(definitions[:40])) == 40


def test_what_is_no_number_is_passed_over() -> None:
    assert (
        metric_matches([{"name": "m", "regex": "=(.*)"}], "=one\n=1_000\n=" + "9" * 65 + "\n=\n=0x10") == []
    )


def test_many_lines_at_once_give_what_each_gives() -> None:
    definitions = [
        ("loss", r"loss=([0-9.]+)"),
        ("case", r"(?i)LOSS=(\S+)"),
        ("anchored", r"^epoch ([0-9]+)$"),
        ("any number", r"([0-9]+)"),
        ("either", r"(?:acc|accuracy):\s*([0-9.]+)"),
        ("end of text", r"x=([0-9]+)\z"),
        *((f"m{n}", rf"m{n}: ([0-9]+)") for n in range(6)),
    ]
    matcher = MetricMatcher(MetricDefinition(name, regex) for name, regex in definitions)
    lines = [
        *(
            "loss=0.5",
            "epoch 3",
            "epoch 3 of 4",
            "",
            "acc: 1 x=7",
            "x=7 ",
            "Loss=nan",
            "loss=ÄÖ 日本",
            "nothing",
        ),
        *(f"m{n}: {n}" for n in range(6)),
    ]
    said = [line.encode() for line in lines]
    expected = [found for line in said for found in matcher.values(line)]
    assert len(expected) > 15
    assert repr(matcher.values_of(b"".join(line + b"\n" for line in said))) == repr(expected)
    assert MetricMatcher([]).values_of(b"loss=1\n") == []
