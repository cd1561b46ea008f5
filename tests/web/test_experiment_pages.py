"""Pages of experiments: what the list and one experiment show in every state, who may do what, tables as files."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from endpoints.models import Evaluation, Experiment, ExperimentCell
from mlplatform.core import clock
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.status import CellStatus
from tests.web.conftest import Visitor
from tests.web.experiments import FLAT, Grid, experiment_make
from tests.web.reading import text_of
from tests.web.test_street_pages import Reader

HALFWAY = (
    CellStatus.COMPLETED,
    CellStatus.PENDING,
    CellStatus.EVALUATING,
    CellStatus.PENDING,
    CellStatus.FAILED,
    CellStatus.PENDING,
    CellStatus.TRAINING,
    CellStatus.SKIPPED,
)
ONE = Grid(configurations=(FLAT,), sizes=(100,), types=("local.cpu",), k=20)
TABS = ("overview", "quality", "latency", "tradeoff", "api")


def halfway(visitor: Visitor, name: str = "halfway") -> Experiment:
    """One cell done, one failed, one skipped, two at work, three waiting."""
    return experiment_make(visitor.actor, name, Grid(statuses=lambda number: HALFWAY[number - 1]))


def detail(visitor: Visitor, name: str, query: dict[str, Any] | None = None) -> str:
    response = visitor.get("experiment-detail", query, name=name)
    assert response.status_code == 200
    return text_of(response)


def polled(
    visitor: Visitor, name: str, query: dict[str, Any], seen: str, target: str = "experiment-state"
) -> Any:
    headers = {"HX-Request": "true", "HX-Target": target, "X-Seen": seen}
    return visitor.client.get(visitor.url("experiment-detail", name=name), query, headers=headers)


def seen_on(page: str) -> str:
    found = re.search(r'"X-Seen": "([^"]+)"', page)
    assert found
    return found.group(1)


def test_without_experiments_the_list_offers_one_on_sample_data(alice: Visitor, bob: Visitor) -> None:
    page = text_of(alice.get("experiment-list"))
    assert "No experiment yet" in page
    assert f"{alice.url('experiment-new')}?preset=knn-small" in page
    assert "?preset=" not in text_of(bob.get("experiment-list"))


def test_the_list_says_how_far_each_is_and_which_cell_is_the_best(alice: Visitor, charlie: Visitor) -> None:
    experiment_make(alice.actor, "done")
    halfway(alice)
    experiment_make(charlie.actor, "elsewhere")
    page = text_of(alice.get("experiment-list"))
    assert "2 experiments" in page and ">elsewhere<" not in page
    assert "8 of 8 cells" in page and "0.9702" in page and "Flat 500,000 · ml.c5.xlarge" in page
    for words in ("1 of 8 cells", "1 failed", "2 running", "3 waiting", "1 skipped"):
        assert words in page
    assert 'hx-trigger="every 3s"' in page
    only = text_of(alice.get("experiment-list", {"status": "Completed"}))
    assert ">done<" in only and ">halfway<" not in only
    assert ">halfway<" in text_of(alice.get("experiment-list", {"search": "ｈａｌｆ"}))
    assert "No experiment matches" in text_of(alice.get("experiment-list", {"search": "xyz"}))
    names = re.findall(
        r'<th scope="row" class="name"><a [^>]*>(\w+)<',
        text_of(alice.get("experiment-list", {"order": "name"})),
    )
    assert names == ["done", "halfway"]


def test_the_list_asks_a_fixed_number_of_questions(
    alice: Visitor, django_assert_max_num_queries: Any
) -> None:
    for n in range(6):
        experiment_make(alice.actor, f"one-{n}", ONE)
    client, url = alice.client, alice.url("experiment-list")
    with django_assert_max_num_queries(9):
        client.get(url)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("state", ["nothing", "halfway", "failed", "done", "one", "stopped"])
def test_every_tab_answers_in_every_state(alice: Visitor, tab: str, state: str) -> None:
    grids = {
        "nothing": Grid(statuses=lambda number: CellStatus.PENDING),
        "halfway": Grid(statuses=lambda number: HALFWAY[number - 1]),
        "failed": Grid(statuses=lambda number: CellStatus.FAILED),
        "stopped": Grid(statuses=lambda number: CellStatus.STOPPED, values={"status": "Stopped"}),
        "done": Grid(),
        "one": ONE,
    }
    experiment_make(alice.actor, state, grids[state])
    page = detail(alice, state, {"tab": tab})
    assert ('hx-trigger="every 2s"' in page) == (state in ("nothing", "halfway"))
    if state in ("nothing", "failed", "stopped") and tab in ("quality", "latency", "tradeoff"):
        assert "Nothing is measured yet" in page or "No cell has been measured yet" in page


def test_the_overview_names_the_best_the_fastest_and_the_cheapest_cell(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    tiles = alice.get("experiment-detail", name="done").context["tiles"]
    assert [(tile.value, tile.view.name) for tile in tiles[:2]] == [
        ("0.9702", "Flat 500,000 · ml.c5.xlarge"),
        ("0.315 ms", "Flat 200,000 · ml.p2.xlarge"),
    ]
    assert tiles[2].view.name == "Flat 200,000 · ml.c5.xlarge"


def test_a_cell_links_to_all_that_it_made_and_says_why_it_waits_or_failed(alice: Visitor) -> None:
    halfway(alice)
    page = detail(alice, "halfway")
    assert alice.url("training-job-detail", name="halfway-Flat-200000") in page
    assert alice.url("evaluation-detail", name="halfway-1") in page
    assert "no host serves queue gpu" in page
    assert "the model needs 9.1 GiB" in page
    failed = detail(alice, "halfway", {"show": "failed"})
    assert failed.count('<th scope="row" class="cell-name"') == 1
    assert "No cell is in this state" in detail(alice, "halfway", {"show": "stopped"})


def test_what_waits_for_a_host_is_said_above_and_not_counted_in_the_time_left(alice: Visitor) -> None:
    halfway(alice)
    context = alice.get("experiment-detail", name="halfway").context
    assert context["notices"] == ["waits: no host serves queue gpu"]
    assert context["remaining_s"] is None  # no host is alive at all
    now = clock.now()
    Node.objects.create(
        kind=NodeKind.HOST, name="h", queues=["cpu"], hostname="h", pid=1, version="1", concurrency=1,
        info={}, started_at=now, seen_at=now,
    )  # fmt: skip
    left = alice.get("experiment-detail", name="halfway").context["remaining_s"]
    assert left is not None and left < 1  # two cells at work, begun five minutes ago, as the first one lasted


def test_a_poll_brings_only_the_state_until_something_changes(alice: Visitor) -> None:
    halfway(alice)
    seen = seen_on(detail(alice, "halfway"))
    same = text_of(polled(alice, "halfway", {}, seen))
    assert "hx-swap-oob" not in same and "1 of 8 cells" in same
    ExperimentCell.objects.filter(status=CellStatus.TRAINING).update(status=CellStatus.DEPLOYING)
    other = text_of(polled(alice, "halfway", {}, seen))
    assert 'id="experiment-cells" hx-swap-oob' in other and "Deploying" in other
    assert "<html" not in other


def test_the_first_result_draws_the_page_anew_and_the_next_ones_bring_figures(alice: Visitor) -> None:
    experiment_make(alice.actor, "young", Grid(statuses=lambda number: CellStatus.TRAINING))
    seen = seen_on(detail(alice, "young", {"tab": "quality"}))
    donor = experiment_make(alice.actor, "donor")
    evaluations = list(Evaluation.objects.filter(experiment_cells__experiment=donor).order_by("pk"))
    cells = ExperimentCell.objects.filter(experiment__name="young")
    cells.filter(position=1).update(status=CellStatus.COMPLETED, evaluation=evaluations[0])
    first = polled(alice, "young", {"tab": "quality"}, seen)
    assert first["HX-Refresh"] == "true"
    seen = seen_on(detail(alice, "young", {"tab": "quality"}))
    cells.filter(position=2).update(status=CellStatus.COMPLETED, evaluation=evaluations[1])
    second = polled(alice, "young", {"tab": "quality"}, seen)
    assert "HX-Refresh" not in second
    assert '<x-figure for="by-k-accuracy">' in text_of(second)
    assert '<x-figure for="trade-off">' in text_of(polled(alice, "young", {"tab": "tradeoff"}, seen))


def test_the_best_values_of_a_row_and_the_slow_ones_of_a_column_are_marked_in_words(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    table = (
        detail(alice, "done", {"tab": "quality"}).partition('id="accuracy-box"')[2].partition("</table>")[0]
    )
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
    assert len(rows) == 12
    assert [row.count("among the best:") for row in rows] == [2] * 12
    assert all(row.count("★") == 2 for row in rows)
    latency = (
        detail(alice, "done", {"tab": "latency"}).partition('id="latency-box"')[2].partition("</table>")[0]
    )
    slow = [row.count("slow:") for row in re.findall(r"<tr>(.*?)</tr>", latency, re.S)[1:]]
    assert slow == [0, 0, 0, 0, 5, 0, 5, 5]


def test_all_metrics_are_small_multiples_and_one_is_a_chart(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    names = [
        chart.name
        for chart in alice.get("experiment-detail", {"tab": "quality", "metric": "all"}, name="done").context[
            "charts"
        ]
    ]
    assert names == ["by-k-accuracy", "by-k-f1_weighted", "by-k-f1_macro", "by-k-f1_micro"]
    one = alice.get(
        "experiment-detail", {"tab": "quality", "metric": "f1_macro", "scale": "log"}, name="done"
    )
    (chart,) = one.context["charts"]
    assert chart.title == "F1 (macro)" and chart.figure["layout"]["xaxis"]["type"] == "log"
    assert one.context["quality_table"].rows[0][1].value == pytest.approx(0.9612 - 0.0045 - 0.045, abs=1e-3)


def test_cells_can_be_chosen_and_keep_their_colours(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    context = alice.get("experiment-detail", {"tab": "quality", "cell": ["8", "3"]}, name="done").context
    assert [view.number for view in context["drawn"]] == [3, 8]
    lines = [trace for trace in context["charts"][0].figure["data"] if trace.get("line", {}).get("dash")]
    assert [trace["line"]["color"] for trace in lines] == ["var(--chart-3)", "var(--chart-8)"]
    page = text_of(alice.get("experiment-detail", {"tab": "quality", "cell": ["8", "3"]}, name="done"))
    assert "series-mark series-3" in page and "series-mark series-8" in page


def test_the_sentence_follows_the_limits_of_the_address(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    page = detail(alice, "done", {"tab": "tradeoff", "at": "best", "quality": "0.95", "latency": "5"})
    said = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert (
        "Cheapest with accuracy of at least 0.95 within 5 ms: Flat 500,000 on ml.c5.xlarge , "
        "0.204 USD per hour, accuracy 0.9702 at k = 3, 0.649 ms." in said
    )
    far = detail(alice, "done", {"tab": "tradeoff", "quality": "0.99", "latency": "0.1"})
    assert "No cell has accuracy of at least 0.99 within 0.1 ms. The nearest is:" in far
    assert 'value="0.99"' in far


def test_the_slider_gets_the_sentence_and_a_figure_only(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    query = {"tab": "tradeoff", "at": "best", "quality": "0.95", "latency": "0.4"}
    answer = text_of(polled(alice, "done", query, "", target="tradeoff-answer"))
    assert "Flat 200,000 on ml.p2.xlarge" in answer
    assert '<x-figure for="trade-off">' in answer and "<html" not in answer and "<table" not in answer


@pytest.mark.parametrize("given", ["", "x", "-1", "nan", "inf", "1e999", "９", "0", '"><b>'])
def test_no_limit_breaks_the_page_or_gets_into_its_markup(alice: Visitor, given: str) -> None:
    experiment_make(alice.actor, "done")
    query = {"tab": "tradeoff"} | dict.fromkeys(("quality", "latency", "x", "at", "cost"), given)
    response = alice.get("experiment-detail", query, name="done")
    assert response.status_code == 200
    assert b"><b>" not in response.content


@pytest.mark.parametrize("state", ["halfway", "done"])
def test_every_page_of_an_experiment_keeps_to_the_policy(alice: Visitor, state: str) -> None:
    experiment_make(alice.actor, "done")
    halfway(alice)
    pages = [detail(alice, state, {"tab": tab, "metric": "all"}) for tab in TABS]
    pages.append(text_of(alice.get("experiment-delete", name=state)))
    for page in pages:
        reader = Reader()
        reader.feed(page)
        assert reader.faults == []
        assert len(reader.ids) == len(set(reader.ids)), reader.ids
        steps = [after - before for before, after in zip(reader.headings, reader.headings[1:], strict=False)]
        assert max(steps, default=0) <= 1, reader.headings


def test_deploying_a_cell_opens_the_form_of_its_job_with_its_instance_type(
    alice: Visitor, bob: Visitor
) -> None:
    experiment_make(alice.actor, "done")
    query = {"tab": "tradeoff", "at": "best", "quality": "0.95", "latency": "5"}
    page = detail(alice, "done", query)
    found = re.search(r'class="button primary" data-dialog href="([^"]+)"', page)
    assert found is not None
    url = found.group(1)
    assert url.startswith(
        alice.url("training-job-deploy", name="done-Flat-500000") + "?instance_type=ml.c5.xlarge&"
    )
    form = text_of(alice.client.get(url, headers={"HX-Request": "true"}))
    assert '<option value="ml.c5.xlarge" selected>' in form and 'value="done-Flat-500000"' in form
    # What the sentence promised is not what the endpoint answers, and both say so.
    own = "The endpoint answers with k = 100 (accuracy"
    assert own in page and own in form and "for k = 3 train again with k = 3" in form
    again = f"{alice.url('training-job-new')}?clone=done-Flat-500000&hp.k=3"
    link = f'href="{again}">Train with k = 3</a>'
    assert link in page
    assert link in form
    assert own not in detail(alice, "done", query | {"at": "own"})
    # A name that is taken leads back to the experiment too.
    back = f"{alice.url('experiment-detail', name='done')}?{urlencode(query)}"
    assert f'href="{back}" data-close' in form
    refused = alice.client.post(url, {"name": "../etc", "variant.instance_type": "ml.c5.xlarge"})
    assert refused.status_code == 400 and f'href="{back}" data-close' in text_of(refused)
    elsewhere = url.partition("?")[0] + "?next=//evil.example/"
    assert 'evil.example/" data-close' not in text_of(alice.client.get(elsewhere))
    for tab in TABS:
        assert "/deploy/" not in detail(bob, "done", {"tab": tab})


def test_a_viewer_sees_everything_and_changes_nothing(alice: Visitor, bob: Visitor) -> None:
    experiment = halfway(alice)
    page = detail(bob, "halfway")
    assert "Run again" not in page and ">Stop<" not in page
    for name in ("experiment-stop", "experiment-resume", "experiment-delete"):
        assert bob.post(name, name="halfway").status_code == 403
    assert bob.get("experiment-new").status_code == 403
    assert bob.get("experiment-delete", name="halfway").status_code == 403
    experiment.refresh_from_db()
    assert experiment.status == "InProgress"


def test_an_experiment_is_stopped_and_resumed_from_its_page(alice: Visitor) -> None:
    halfway(alice)
    assert "Stop</button>" in detail(alice, "halfway")
    assert alice.post("experiment-stop", name="halfway").status_code == 302
    assert Experiment.objects.get(name="halfway").status == "Stopping"
    experiment_make(alice.actor, "ended", Grid(statuses=lambda number: CellStatus.FAILED))
    assert "Resume" in detail(alice, "ended")
    assert alice.post("experiment-resume", name="ended").status_code == 302
    assert Experiment.objects.get(name="ended").status == "InProgress"


def test_where_nobody_serves_what_was_skipped_resume_is_not_what_one_does_next(alice: Visitor) -> None:
    def one(status: CellStatus) -> Grid:
        return Grid(statuses=lambda number: CellStatus.COMPLETED if number % 2 else status)

    experiment_make(alice.actor, "skipped", one(CellStatus.SKIPPED))
    experiment_make(alice.actor, "failed", one(CellStatus.FAILED))
    for name, primary in (("skipped", False), ("failed", True)):
        found = re.search(
            r'<button type="submit" class="button( primary)?">(?:(?!</button>).)*Resume',
            detail(alice, name),
            re.S,
        )
        assert found is not None and bool(found.group(1)) == primary


def test_an_algorithm_without_k_has_scores_and_no_column_of_dashes(alice: Visitor) -> None:
    experiment = experiment_make(alice.actor, "done", Grid(k=None))
    assert "Accuracy by k" in detail(alice, "done")
    Experiment.objects.filter(pk=experiment.pk).update(algorithm="xgboost")
    page = detail(alice, "done", {"tab": "quality"})
    assert "Accuracy by k" not in page and ">Scores</a>" in page
    assert 'class="numeric">k</th>' not in page


def test_what_comes_too_late_is_said(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    client = alice.client
    page = text_of(client.post(alice.url("experiment-stop", name="done"), follow=True))
    assert "has ended already" in page
    page = text_of(client.post(alice.url("experiment-resume", name="done"), follow=True))
    assert "nothing left to do" in page
    assert "Resume" not in detail(alice, "done")


def test_before_it_is_deleted_what_goes_is_named(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    asked = text_of(alice.get("experiment-delete", htmx=True, name="done"))
    assert "<html" not in asked and "done-Flat-200000" in asked and "done-1" in asked and ", …" in asked
    assert "Keep its training jobs" in asked
    assert alice.post("experiment-delete", {"keep_results": "1"}, name="done").status_code == 302
    assert not Experiment.objects.exists() and Evaluation.objects.count() == 8
    experiment_make(alice.actor, "gone")
    alice.post("experiment-delete", name="gone")
    assert not Evaluation.objects.filter(name__startswith="gone").exists()


def test_one_that_is_running_is_not_offered_for_deletion(alice: Visitor) -> None:
    halfway(alice)
    asked = text_of(alice.get("experiment-delete", htmx=True, name="halfway"))
    assert "Stop it first" in asked and 'type="submit"' not in asked
    assert alice.post("experiment-delete", name="halfway").status_code == 409


@pytest.mark.parametrize("table", ["cells", "accuracy", "latency", "tradeoff"])
def test_every_table_is_a_file(alice: Visitor, table: str) -> None:
    experiment_make(alice.actor, "done")
    url = alice.url("experiment-download", name="done", table=table)
    as_csv = alice.client.get(url, {"as": "csv"})
    assert as_csv["Content-Disposition"] == f'attachment; filename="done-{table}.csv"'
    text = b"".join(as_csv.streaming_content).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    as_json = json.loads(b"".join(alice.client.get(url, {"as": "json"}).streaming_content))
    assert len(rows) - 1 == len(as_json["rows"]) == (12 if table == "accuracy" else 8)
    assert rows[0] == [column["key"] for column in as_json["columns"]]


def test_there_is_no_table_of_another_name(alice: Visitor) -> None:
    experiment_make(alice.actor, "done")
    url = alice.url("experiment-download", name="done", table="cells")
    assert alice.client.get(url.replace("cells", "secrets")).status_code == 404


@pytest.mark.parametrize(
    ("tab", "n_queries"), [("overview", 13), ("quality", 10), ("latency", 9), ("tradeoff", 9)]
)
def test_a_hundred_cells_are_read_with_a_fixed_number_of_questions(
    alice: Visitor, django_assert_max_num_queries: Any, tab: str, n_queries: int
) -> None:
    configurations = [{**FLAT, "name": f"c{n}"} for n in range(25)]
    experiment_make(alice.actor, "many", Grid(configurations=configurations, k=20))
    client, url = alice.client, alice.url("experiment-detail", name="many")
    with django_assert_max_num_queries(n_queries):
        response = client.get(url, {"tab": tab})
    if tab == "quality":
        assert len(response.context["drawn"]) == 20
        assert len(response.context["charts"][0].figure["data"]) == 3 * 20  # band, line and star of each


def test_many_cells_are_shown_in_pages(alice: Visitor) -> None:
    configurations = [{**FLAT, "name": f"c{n}"} for n in range(30)]
    experiment_make(alice.actor, "many", Grid(configurations=configurations, k=5))
    pages = {
        asked: alice.get("experiment-detail", {"page": asked}, name="many").context
        for asked in ("1", "2", "99", "x")
    }
    numbers = {asked: [view.number for view in found["page_of_cells"]] for asked, found in pages.items()}
    assert numbers["1"] == numbers["x"] == list(range(1, 101))
    assert numbers["2"] == numbers["99"] == list(range(101, 121))
    assert "page 2 of 2" in detail(alice, "many", {"page": "2"})
