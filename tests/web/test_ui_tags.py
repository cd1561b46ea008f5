"""Template tags of the design system: what they put on a page, and that text of users stays text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.test import RequestFactory
from django.utils.translation import override

from mlplatform.core.status import TONES
from mlplatform.web.shortlist import short_list
from mlplatform.web.statuses import STATUS_ICONS, status_word
from mlplatform.web.templatetags import ui
from tests.live import ROOT

HOSTILE = '"><script>alert(1)</script>'


def rendered(source: str, query: str = "", **context: Any) -> str:
    request = RequestFactory().get(f"/list/{query}")
    return Template(source).render(Context({"request": request, **context}))


@pytest.mark.parametrize("value", sorted(TONES))
def test_every_status_is_an_icon_and_a_word_in_both_languages(value: str) -> None:
    html = ui.status(value)
    assert "<svg" in html and f"<span>{value}</span>" in html
    with override("ja"):
        assert status_word(value) != value
        translated = ui.status(value)
    assert status_word(value) == value
    assert f'title="{value}"' in translated


def test_every_tone_has_an_icon_of_its_own_shape() -> None:
    assert set(STATUS_ICONS) >= set(TONES.values())
    assert len(set(STATUS_ICONS.values())) == len(STATUS_ICONS)


def test_an_unknown_status_is_shown_as_it_is_and_as_text() -> None:
    assert "<script>" not in ui.status(HOSTILE)


def test_icons_are_silent_unless_they_have_a_label() -> None:
    assert 'aria-hidden="true"' in ui.icon("play")
    assert 'role="img"' in ui.icon("play", label="Start")
    assert "<script>" not in ui.icon("play", label=HOSTILE)


def test_an_instant_carries_its_exact_value() -> None:
    html = ui.when(datetime(2026, 11, 20, 6, 46, 1, tzinfo=UTC))
    assert 'datetime="2026-11-20T06:46:01.000+00:00"' in html
    assert ui.when(None) == "–"


def test_a_figure_is_data_that_cannot_end_its_script_element() -> None:
    html = ui.chart({"data": [{"name": "</script><script>alert(1)"}]}, title=HOSTILE)
    assert html.count("</script>") == 1
    assert '<script type="application/json"' in html


def test_a_meter_without_a_fraction_is_indeterminate() -> None:
    assert "value=" not in ui.meter(None, "Working")
    assert "value=" not in rendered("{% meter job.progress.fraction 'Working' %}")
    assert 'value="1.0000"' in ui.meter(1.7, "Working")


def test_changing_one_parameter_keeps_the_others_and_goes_to_the_first_page() -> None:
    source = "{% query order='name' %}|{% query search=None %}|{% page_query 'next' %}"
    html = rendered(source, "?search=a%26b&cursor=old&order=-created")
    first, second, third = html.replace("&amp;", "&").split("|")
    assert first == "?search=a%26b&order=name"
    assert second == "?order=-created"
    assert third == "?search=a%26b&cursor=next&order=-created"


@pytest.mark.parametrize(
    ("query", "direction", "following"),
    [
        ("", "none", "order=name"),
        ("?order=name", "ascending", "order=-name"),
        ("?order=-name", "descending", "order=name"),
    ],
)
def test_a_header_says_how_the_list_is_sorted_and_turns_it(
    query: str, direction: str, following: str
) -> None:
    html = rendered("{% sort_header 'name' 'Name' default='-created' %}", query)
    assert f'aria-sort="{direction}"' in html
    assert following in html


class Example(forms.Form):
    count = forms.IntegerField(label="Count", help_text="A whole number.")
    note = forms.CharField(label="Note", required=False)


def test_a_field_ties_its_hint_and_its_error_to_the_control() -> None:
    html = rendered("{% field form.count %}", form=Example({"count": "x"}))
    assert 'aria-describedby="id_count_error id_count_hint"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_count_error"' in html and 'id="id_count_hint"' in html
    assert '<label for="id_count"' in html


def test_a_field_that_may_be_left_out_says_so() -> None:
    assert "optional" in rendered("{% field form.note %}", form=Example())
    assert "optional" not in rendered("{% field form.count %}", form=Example())


def test_a_histogram_without_counts_is_a_dash() -> None:
    assert ui.bars(None, "") == ui.bars({"counts": []}, "") == "–"
    assert ui.bars({"counts": [1, 2]}, HOSTILE).count("<rect") == 2
    assert "<script>" not in ui.bars({"counts": [1]}, HOSTILE)


def test_a_short_list_puts_what_is_missing_first_and_never_fails_to_sort() -> None:
    rows = [{"n": None, "t": "b"}, {"n": 2, "t": "A"}, {"n": 1, "t": "c"}]
    orders = {"n": lambda row: row["n"], "t": lambda row: row["t"]}
    by_number = short_list(rows, {"order": "n"}, orders=orders, default="t", text=lambda row: row["t"])
    assert [row["n"] for row in by_number.items] == [None, 1, 2]
    by_text = short_list(rows, {"order": "-t"}, orders=orders, default="t", text=lambda row: row["t"])
    assert [row["t"] for row in by_text.items] == ["c", "b", "A"]
    found = short_list(rows, {"search": "Ａ"}, orders=orders, default="t", text=lambda row: row["t"])
    assert ([row["t"] for row in found.items], found.count) == (["A"], 3)


def test_pairs_of_a_mapping_that_has_a_name_items() -> None:
    source = "{% for name, value in tags|pairs %}{{ name }}={{ value }} {% endfor %}"
    assert rendered(source, tags={"items": "a", "keys": "b"}) == "items=a keys=b "
    assert rendered(source, tags=None) == rendered(source) == ""


def test_no_template_asks_a_mapping_for_its_items() -> None:
    asks = re.compile(r"{%-?\s*for \w+\s*,\s*\w+ in [\w.]+\.items\b")
    found = [
        path.name
        for path in (ROOT / "templates").rglob("*.html")
        if asks.search(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "use |pairs: a name may be `items`"
