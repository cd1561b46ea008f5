"""Pages of comparisons: what they show of few and of many runs, what is in their address, how runs are chosen."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from jobs.models import TrainingJob
from mlplatform.web.comparison_tables import FEW
from tests.compared import curve_made, evaluations_made, jobs_made
from tests.web.conftest import Visitor

Compare = Callable[..., Any]


@pytest.fixture
def jobs(alice: Visitor) -> list[TrainingJob]:
    return jobs_made(alice.project, alice.user, 3)


@pytest.fixture
def compare(alice: Visitor, bob: Visitor) -> Compare:
    """The page that Bob, who only views, gets for these names."""

    client = bob.client

    def asked(*names: str, status: int = 200, target: str = "", **more: Any) -> Any:
        pairs = [*(("name", name) for name in names), *more.items()]
        headers = {"HX-Request": "true", "HX-Target": target} if target else {}
        answer = client.get(f"{bob.url('comparison')}?{urlencode(pairs)}", headers=headers)
        assert answer.status_code == status, answer.content.decode()[-2000:]
        return answer

    return asked


def text_of(answer: Any) -> str:
    """The words on the page, in order."""
    page = re.sub(r"<(script|svg|title)\b.*?</\1>", "", answer.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def rows_of(answer: Any) -> dict[str, list[str]]:
    """The text of each row's cells, by its header."""
    page = answer.content.decode()
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\"[^>]*>(.*?)</th>(.*?)</tr>", page, re.S)
    return {
        _words(header): [_words(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells, re.S)]
        for header, cells in rows
    }


def _words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def hidden_of(answer: Any) -> list[tuple[str, str]]:
    return re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', answer.content.decode())


def query_of(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(html.unescape(url)).query)


def parallel_of(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.context["parallel"]
    return json.loads(json.dumps(found))


def test_two_jobs_stand_in_columns_with_what_differs_and_the_best_marked(jobs: Any, compare: Compare) -> None:
    answer = compare("run-1", "run-2")
    rows = rows_of(answer)
    assert rows["k"] == ["1", "3"]
    assert rows["sample_size"] == ["2,000", "20,000"]
    assert rows["faiss_index_ivf_nlists"] == ["–", "auto default"]
    assert "predictor_type" not in rows
    assert [cell.startswith("★ best:") for cell in rows["test:accuracy"]] == [False, True]
    assert "2 training jobs · 5 parameters differ, 7 are the same" in text_of(answer)
    everything = rows_of(compare("run-1", "run-2", show="all"))
    assert everything["predictor_type"] == ["classifier", "classifier"]
    assert everything["channel train"] == ["flags@1", "flags@1"]


def test_the_reference_run_comes_first_and_the_others_say_how_far_they_are_from_it(
    jobs: Any, compare: Compare
) -> None:
    TrainingJob.objects.filter(name="run-1").update(final_metrics={"loss": 0.5, "k_best": 3})
    TrainingJob.objects.filter(name="run-2").update(final_metrics={"loss": 0.4, "k_best": 3})
    TrainingJob.objects.filter(name="run-3").update(final_metrics={"loss": 0.55, "k_best": 4})
    answer = compare("run-1", "run-2", "run-3", base="run-2")
    rows = rows_of(answer)
    assert rows["loss"] == ["★ best: 0.4", "0.5 ▼ +0.1 (+25 %) worse", "0.55 ▼ +0.15 (+37.5 %) worse"]
    assert rows["Best k"] == ["3", "3 ±0", "4 +1 (+33.3 %)"]
    assert "reference" in text_of(answer)
    page = answer.content.decode()
    assert len(re.findall(r'class="[^"]*is-changed', page)) > 4
    assert "is-changed" not in compare("run-1", "run-2").content.decode()


def test_a_reference_that_is_not_among_the_runs_changes_nothing(jobs: Any, compare: Compare) -> None:
    assert rows_of(compare("run-1", "run-2", base="run-3")) == rows_of(compare("run-1", "run-2"))


def test_many_jobs_stand_in_rows_that_can_be_ordered(alice: Visitor, compare: Compare) -> None:
    jobs_made(alice.project, alice.user, FEW + 2)
    names = [f"run-{n + 1}" for n in range(FEW + 2)]
    answer = compare(*names, order="-metrics.duration_s")
    assert answer.context["table"].few is False
    durations = [head.run.metrics["duration_s"] for head in answer.context["table"].heads]
    assert durations == sorted(durations, reverse=True)
    page = answer.content.decode()
    assert re.search(
        r'aria-sort="descending"><button class="sort" type="submit" name="order" value="metrics.duration_s"',
        page,
    )
    assert re.search(
        r'aria-sort="none"><button class="sort" type="submit" name="order" value="hyperparameters.k"', page
    )
    assert page.count("data-run=") == FEW + 2


def test_500_jobs_are_one_page_whose_size_is_bounded(
    alice: Visitor, compare: Compare, django_assert_max_num_queries: Any
) -> None:
    jobs_made(alice.project, alice.user, 500)
    names = [f"run-{n + 1}" for n in range(500)]
    with django_assert_max_num_queries(12):
        answer = compare(*names)
    page = answer.content.decode()
    assert page.count("data-run=") == 500
    assert len(page) < 3_000_000
    assert len(parallel_of(answer)["runs"]) == 500
    assert "Add" not in _words(re.search(r'compared-tools">(.*?)</div>\s*</div>', page, re.S)[1])  # type: ignore[index]


def test_jobs_of_nothing_in_common_are_compared_all_the_same(jobs: Any, compare: Compare) -> None:
    TrainingJob.objects.filter(name="run-1").update(
        algorithm="gone",
        hyperparameters={"max_depth": "6"},
        final_metrics={"精度": 0.9},
        environment={"言語": "日本語 <b>"},
    )
    TrainingJob.objects.filter(name="run-2").update(final_metrics={})
    answer = compare("run-1", "run-2")
    rows = rows_of(answer)
    assert rows["Algorithm"] == ["gone", "knn"]
    assert rows["max_depth"] == ["6", "–"]
    assert rows["k"] == ["–", "3"]
    assert rows["精度"] == ["0.9", "–"]
    assert rows["environment 言語"] == ["日本語 <b>", "–"]
    assert "日本語 &lt;b&gt;" in answer.content.decode() and "日本語 <b>" not in answer.content.decode()


def test_jobs_without_any_metric_or_difference_say_so(alice: Visitor, compare: Compare) -> None:
    jobs_made(
        alice.project,
        alice.user,
        2,
        changes=lambda place: {
            "hyperparameters": {"k": "1"},
            "instance_type": "local.cpu",
            "final_metrics": {},
            "started_at": None,
            "billable_s": None,
        },
    )
    text = text_of(compare("run-1", "run-2"))
    assert "No parameter differs." in text
    assert "They need two things that differ" in text
    assert "No metric of these runs has more than one value" in text
    assert "None of these runs has a metric." in text


def test_evaluations_are_compared_with_their_intervals_and_scores_by_k(
    alice: Visitor, compare: Compare
) -> None:
    evaluations_made(alice.project, alice.user, 2)
    answer = compare("eval-1", "eval-2", kind="evaluations")
    rows = rows_of(answer)
    assert rows["One row, p99 (ms)"] == ["★ best: 1", "2"]
    assert rows["Accuracy at the best k"] == ["0.9500 0.8949 – 1.0000"] * 2
    assert rows["Price per hour"] == ["0.102", "0.204"]
    assert answer.context["curve_metric"] == "accuracy"


def test_the_address_keeps_all_that_was_chosen(jobs: Any, compare: Compare) -> None:
    chosen = {"base": "run-2", "show": "all", "order": "name", "colour": "hyperparameters.k"}
    drawn = {
        "axis": "hyperparameters.k",
        "brush": "1~3~hyperparameters.k",
        "pick": "faiss.Flat~hyperparameters.index_type",
    }
    answer = compare("run-1", "run-2", target="comparison", **chosen, **drawn)
    pushed = query_of(answer["HX-Push-Url"])
    assert set(chosen.items()) | set(drawn.items()) <= set(pushed)
    assert parallel_of(answer)["state"] == {name: [value] for name, value in drawn.items()}
    assert parallel_of(answer)["colour"] == "hyperparameters.k"
    hidden = hidden_of(answer)
    assert set(hidden) == {
        ("kind", "training-jobs"),
        ("name", "run-1"),
        ("name", "run-2"),
        *chosen.items(),
    } - {
        ("colour", "hyperparameters.k")  # its control is in the picture
    }


def test_a_run_is_taken_out_and_another_added_by_the_address(
    jobs: Any, compare: Compare, bob: Visitor
) -> None:
    answer = compare("run-1", "run-2", "run-3", without="run-2", base="run-2", status=302)
    assert query_of(answer["Location"]) == [("kind", "training-jobs"), ("name", "run-1"), ("name", "run-3")]
    fragment = compare("run-1", "run-2", "run-3", without="run-2", target="comparison")
    assert [head.run.name for head in fragment.context["table"].heads] == ["run-1", "run-3"]
    offered = compare("run-1", "run-3").context["candidates"]
    assert [one.name for one in offered] == ["run-2"]
    page = compare("run-1", "run-3").content.decode()
    assert '<button class="menu-item" type="submit" name="add" value="run-2">' in page
    added = compare("run-1", "run-3", add="run-2", status=302)
    assert [value for name, value in query_of(added["Location"]) if name == "name"] == [
        "run-1",
        "run-3",
        "run-2",
    ]


def test_all_that_match_a_search_are_compared_but_for_those_taken_out(jobs: Any, compare: Compare) -> None:
    answer = compare(search="ｒｕｎ", without="run-2")
    assert [head.run.name for head in answer.context["table"].heads] == ["run-3", "run-1"]
    assert "2 training jobs: all that match name contains “run”" in text_of(answer)
    assert ("without", "run-2") in hidden_of(answer)


def test_a_search_that_finds_too_many_says_how_many(alice: Visitor, compare: Compare) -> None:
    jobs_made(alice.project, alice.user, 501)
    assert "501 are too many; 500 can be compared" in text_of(compare(all="1", status=400))


@pytest.mark.parametrize("names", [(), ("run-1",)])
def test_with_fewer_than_two_the_page_offers_runs_to_choose(
    jobs: Any, compare: Compare, names: tuple[str, ...]
) -> None:
    answer = compare(*names)
    assert "Tick 2 to 500 training jobs" in text_of(answer)
    page = answer.content.decode()
    assert re.findall(r'name="name" value="([^"]+)"( checked)?>', page) == [
        *((name, " checked") for name in names),
        *((f"run-{n}", "") for n in (3, 2, 1) if f"run-{n}" not in names),
    ]


def test_candidates_are_searched_for_in_place(jobs: Any, compare: Compare) -> None:
    answer = compare("run-1", find="-3", target="comparison-candidates")
    assert "run-3" in text_of(answer) and "run-2" not in text_of(answer)
    assert "<html" not in answer.content.decode()
    assert "Nothing else is named like “xyz”." in text_of(compare(find="xyz"))


def test_an_empty_project_says_that_there_is_nothing_to_compare(compare: Compare) -> None:
    for kind in ("training-jobs", "evaluations"):
        assert "There is nothing else to compare yet." in text_of(compare(kind=kind))


def test_names_that_are_not_there_are_said_and_the_others_can_be_compared(
    jobs: Any, compare: Compare, charlie: Visitor
) -> None:
    jobs_made(charlie.project, charlie.user, 1, prefix="theirs")
    answer = compare("run-1", "theirs-1", "run-2", "ghost", status=404)
    text = text_of(answer)
    assert "There are no training jobs named “theirs-1”, “ghost”" in text
    assert "Compare the other 2" in text
    link = re.search(r'<a class="button primary" href="([^"]+)"', answer.content.decode())
    assert link and query_of(link[1]) == [("kind", "training-jobs"), ("name", "run-1"), ("name", "run-2")]
    assert "Choose others" in text_of(compare("ghost", "run-1", status=404))


def test_a_part_whose_runs_are_gone_meanwhile_makes_the_browser_load_the_page_again(
    jobs: Any, compare: Compare
) -> None:
    for names, target in ((("run-1", "ghost"), "comparison"), (("run-1",), "comparison-curves")):
        answer = compare(*names, target=target, status=204)
        assert [value for name, value in query_of(answer["HX-Redirect"]) if name == "name"] == list(names)


def test_the_curves_of_a_metric_are_drawn_again_alone(
    jobs: list[TrainingJob], compare: Compare, bob: Visitor
) -> None:
    for job in jobs[:2]:
        curve_made(job, "loss", [0.5, 0.25, None])
        curve_made(job, "acc", [0.5, 0.75])
    answer = compare("run-1", "run-2", target="comparison-curves", metric="acc", scale="log")
    page = answer.content.decode()
    assert "<html" not in page and 'option value="acc" selected' in page
    assert ("metric", "acc") in query_of(answer["HX-Push-Url"])
    source = re.search(r'src="([^"]*\+curves/[^"]*)"', page)
    assert source
    figure = bob.client.get(html.unescape(source[1])).json()
    assert [trace["name"] for trace in figure["data"]] == ["run-1", "run-2"]
    assert figure["data"][0]["y"] == [0.5, 0.75]
    assert (figure["layout"]["yaxis"]["type"], figure["final"]) == ("log", True)


def test_the_scatter_chart_takes_any_parameter_against_any_metric(jobs: Any, compare: Compare) -> None:
    answer = compare(
        "run-1", "run-2", target="comparison-scatter", x="hyperparameters.index_type", y="metrics.duration_s"
    )
    figure = answer.context["scatter"]
    assert figure["layout"]["xaxis"]["type"] == "category"
    assert figure["table"]["columns"] == ["Name", "index_type", "Duration (s)"]
    default = compare("run-1", "run-2").context
    assert (default["scatter_x"], default["scatter_y"]) == ("hyperparameters.k", "metrics.test:accuracy")
    unknown = compare("run-1", "run-2", x="nothing", y="nothing").context
    assert (unknown["scatter_x"], unknown["scatter_y"]) == (default["scatter_x"], default["scatter_y"])


def test_a_run_has_the_same_colour_in_every_part(
    jobs: list[TrainingJob], compare: Compare, bob: Visitor
) -> None:
    for job in jobs:
        curve_made(job, "loss", [0.5, 0.25])
    answer = compare("run-3", "run-1", "run-2", order="name")
    marks = {head.run.name: head.mark for head in answer.context["table"].heads}
    assert {run["name"]: run["mark"] for run in parallel_of(answer)["runs"]} == marks
    scatter = answer.context["scatter"]["data"]
    figure = bob.client.get(answer.context["curves_url"]).json()["data"]
    for name, mark in marks.items():
        token = f"var(--chart-{mark % 8 + 1})"
        assert [trace["marker"]["color"] for trace in scatter if trace["name"] == name] == [[token]]
        assert [trace["line"]["color"] for trace in figure if trace["name"] == name] == [token]


@pytest.mark.parametrize(("form", "kind"), [("csv", "text/csv; charset=utf-8"), ("json", "application/json")])
def test_the_whole_table_is_a_file(jobs: Any, bob: Visitor, form: str, kind: str) -> None:
    answer = bob.client.get(f"{bob.url('comparison-download')}?search=run&as={form}")
    assert answer["Content-Type"] == kind
    assert answer["Content-Disposition"] == f'attachment; filename="comparison-of-3-training-jobs.{form}"'
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert "hyperparameters.k" in content and "run-3" in content


def test_the_page_has_its_data_in_no_markup_of_its_own(jobs: Any, compare: Compare) -> None:
    TrainingJob.objects.filter(name="run-1").update(
        hyperparameters={"k": "</script><script>alert(1)</script>"}, final_metrics={"<img src=x>%{x}": 1.0}
    )
    page = compare("run-1", "run-2").content.decode()
    assert "<script>alert" not in page and "<img src=x>" not in page


def test_the_list_of_jobs_offers_its_rows_and_all_that_match(jobs: Any, bob: Visitor) -> None:
    page = bob.get("training-job-list", {"search": "run", "status": "Completed"}).content.decode()
    assert page.count('form="selection" data-selection="row"') == 3
    assert (
        f'<form class="selection-bar" id="selection" method="get" action="{bob.url("comparison")}">' in page
    )
    link = re.search(r'href="([^"]*)">Compare all<', page)
    assert link
    assert query_of(link[1]) == [
        ("kind", "training-jobs"),
        ("all", "1"),
        ("search", "run"),
        ("status", "Completed"),
    ]
    assert bob.client.get(html.unescape(link[1])).context["table"].heads[0].run.name == "run-3"
    assert "Compare all" not in bob.get("training-job-list", {"search": "run-3"}).content.decode()


def test_the_page_of_a_job_leads_to_its_comparison_with_its_clones(alice: Visitor, bob: Visitor) -> None:
    jobs_made(
        alice.project, alice.user, 3, changes=lambda place: {"cloned_from": "run-1"} if place == 2 else {}
    )
    page = bob.get("training-job-detail", name="run-1").content.decode()
    link = re.search(r'href="([^"]*compare/[^"]*name=run-1)"', page)
    assert link
    text = text_of(bob.client.get(html.unescape(link[1])))
    assert "run-3 related" in text and "run-2 related" not in text
