"""Pages of evaluations: every state and kind of result, what their forms refuse and keep, who may do what."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from typing import Any

import pytest

from endpoints.models import Evaluation
from mlplatform.core.status import EvaluationStatus
from tests.web.conftest import Visitor
from tests.web.evaluations import Made, evaluation_made, facts_made

JAPANESE = ["犬", "猫", "<b>鳥</b>", "「魚」,=1+1", "とても長いラベルの名前がここにあります" * 4]
KINDS = {
    "by-k": Made(),
    "seven": Made(labels=[str(n) for n in range(1, 8)], k_max=100, k=100, n_rows=400),
    "no-k": Made(k_max=None, k=None),
    "one-class": Made(labels=["only"]),
    "hundred": Made(labels=[f"class {n}" for n in range(100)], n_rows=300, k_max=10),
    "more-labels": Made(labels=[f"class {n}" for n in range(140)], n_rows=300, k_max=3, k=3),
    "deep": Made(k_max=1024, k=1024, n_rows=200),
    "k-of-one": Made(k_max=1, k=1),
    "regression": Made(kind="regression"),
    "regression-no-k": Made(kind="regression", k_max=None, k=None),
    "unlabelled": Made(kind="unlabelled"),
    "japanese": Made(labels=JAPANESE),
}


def page_of(who: Visitor, page: str, query: dict[str, Any] | None = None, **kwargs: Any) -> str:
    response = who.get(page, query, **kwargs)
    assert response.status_code == 200, response.content.decode()[:2000]
    return response.content.decode()


# The page of one evaluation


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tab", ["overview", "rows", "api"])
def test_every_kind_of_result_has_its_page_for_whoever_may_only_look(
    alice: Visitor, bob: Visitor, kind: str, tab: str
) -> None:
    evaluation_made(alice, "measured", KINDS[kind])
    page = page_of(bob, "evaluation-detail", {"tab": tab}, name="measured")
    assert "measured" in page
    for change in ("evaluation-stop", "evaluation-delete"):
        assert bob.url(change, name="measured") not in page
    assert "Run again" not in page


def test_the_page_shows_scores_by_k_with_the_best_and_the_models_own(alice: Visitor) -> None:
    evaluation_made(alice, "seven", KINDS["seven"])
    page = page_of(alice, "evaluation-detail", name="seven")
    summary = Evaluation.objects.get().summary
    assert f"{summary['value']:.4f}" in page and f"{summary['best']:.4f}" in page
    assert page.count("★</span>") >= 4  # one for each metric, and what it means
    assert "scores-by-k" in page and "single-calls" in page and "batches" in page
    assert re.findall(r'<th scope="row" class="numeric">(\d+)</th>', page)[:13] == [
        *map(str, range(1, 13)),
        "100",
    ]
    assert "a k-d tree answered 300 points" in page and "ml.c5.xlarge" in page and "200000" in page
    every = page_of(alice, "evaluation-detail", {"ks": "all"}, name="seven")
    assert len(re.findall(r'<th scope="row" class="numeric">(\d+)</th>', every)) == 100


TREE_REASON = "k-d tree over {n} of {d} columns, {batch} times as fast as brute force"
TREE_SAID = {"template": TREE_REASON, "params": {"n": 10, "d": 54, "batch": "4.0"}}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (TREE_SAID, "k-d tree over 10 of 54 columns, 4.0 times"),
        (TREE_SAID | {"params": TREE_SAID["params"] | {"margin": 1.2, "single": "9"}}, "10 of 54 columns"),
        ({"template": "{a.b}", "params": {"a.b": 1}}, "k-d tree over 10 of 54 columns, 4.0 times"),
        (None, "k-d tree over 10 of 54 columns, 4.0 times"),
    ],
    ids=["as it is", "with more params than places", "no template", "none"],
)
def test_why_neighbours_are_found_as_they_are_is_a_sentence(alice: Visitor, said: Any, shown: str) -> None:
    reason = "k-d tree over 10 of 54 columns, 4.0 times as fast as brute force"
    engine = {"name": "tree", "reason": reason, "said": said}
    evaluation_made(alice, "tree", facts=facts_made(Made()) | {"engine": engine})
    page = page_of(alice, "evaluation-detail", name="tree")
    assert shown in page
    assert "params" not in page


def figure_of(page: str, name: str) -> dict[str, Any]:
    found = re.search(rf'<x-chart name="{name}".*?<script[^>]*>(.*?)</script>', page, re.S)
    assert found, f"no chart {name}"
    return dict(json.loads(found.group(1)))


def test_what_is_looked_at_is_in_the_address(alice: Visitor) -> None:
    evaluation_made(alice, "seven", KINDS["seven"])
    page = page_of(alice, "evaluation-detail", {"metric": "f1_macro", "scale": "log", "k": "3"}, name="seven")
    figure = figure_of(page, "scores-by-k")
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert figure["layout"]["yaxis"]["title"]["text"] == "F1 (macro)"
    assert "Labels, at k = 3" in page
    result = Evaluation.objects.get().result
    for label, counts in zip(result["labels"], result["confusions"]["3"], strict=True):
        for prediction, count in zip(result["labels"], counts, strict=True):
            link = f"?tab=rows&amp;k=3&amp;label={label}&amp;prediction={prediction}"
            assert (link in page) == (count > 0)
    assert "metric=accuracy&amp;scale=log&amp;k=3" in html.unescape(page).replace("&", "&amp;")


def test_a_k_whose_intervals_were_not_kept_has_its_classes_from_the_matrix(alice: Visitor) -> None:
    evaluation_made(alice, "by-k", KINDS["by-k"])
    result = Evaluation.objects.get().result
    assert "5" in result["confusions"] and "5" not in result["classes"]
    page = page_of(alice, "evaluation-detail", {"k": "5"}, name="by-k")
    (matrix,) = [result["confusions"]["5"]]
    recall = matrix[0][0] / sum(matrix[0])
    assert f"{recall:.4f}" in page


def test_rows_of_a_cell_of_the_matrix_are_those_that_it_counts(alice: Visitor) -> None:
    evaluation_made(alice, "seven", KINDS["seven"])
    matrix = Evaluation.objects.get().result["confusions"]["100"]
    query = {"tab": "rows", "k": "100", "label": "1", "prediction": "4"}
    response = alice.get("evaluation-detail", query, name="seven")
    assert response.context["n_found"] == matrix[0][3] > 0
    assert all((row["label"], row["prediction"]) == ("1", "4") for row in response.context["rows"])
    wrong = alice.get("evaluation-detail", {"tab": "rows", "k": "1", "wrong": "1"}, name="seven")
    assert wrong.context["n_found"] == round(
        400 * (1 - Evaluation.objects.get().result["quality"]["accuracy"][0])
    )
    first = alice.get("evaluation-detail", {"tab": "rows"}, name="seven")
    assert (first.context["k"], first.context["n_found"]) == (100, 400)
    last = alice.get("evaluation-detail", {"tab": "rows", "offset": "300"}, name="seven")
    assert (last.context["first_shown"], last.context["last_shown"], last.context["following"]) == (
        301,
        400,
        None,
    )
    page = page_of(alice, "evaluation-detail", {"tab": "rows", "label": "nothing"}, name="seven")
    assert "“nothing” is not one of the labels" in page and "No row matches" in page
    assert "No row matches" in page_of(
        alice, "evaluation-detail", {"tab": "rows", "offset": "999"}, name="seven"
    )


@pytest.mark.parametrize("tab", ["overview", "rows"])
@pytest.mark.parametrize("k", ["0", "101", "500", "x", "9" * 30])
def test_a_k_that_there_is_not_gives_way_to_the_models_own_with_a_word(
    alice: Visitor, tab: str, k: str
) -> None:
    evaluation_made(alice, "seven", KINDS["seven"])
    page = page_of(alice, "evaluation-detail", {"tab": tab, "k": k}, name="seven")
    assert f"There is nothing for k = {k[:20]}, only for k from 1 to 100. k = 100 is shown." in page
    assert "There is nothing for" not in page_of(
        alice, "evaluation-detail", {"tab": tab, "k": "３"}, name="seven"
    )


def test_the_best_k_of_every_metric_has_its_row_and_star(alice: Visitor) -> None:
    made = evaluation_made(alice, "seven", KINDS["seven"])
    quality = made.result["quality"]
    for metric, k in (("accuracy", 40), ("f1_micro", 40), ("f1_weighted", 50), ("f1_macro", 60)):
        quality[metric][k - 1] = 0.999
    made.save()
    page = page_of(alice, "evaluation-detail", name="seven")
    rows = re.findall(r'<th scope="row" class="numeric">(\d+)</th>(.*?)</tr>', page)
    assert [k for k, _cells in rows] == [*map(str, range(1, 13)), "40", "50", "60", "100"]
    assert [cells.count("★") for _k, cells in rows] == [0] * 12 + [2, 1, 1, 0]


def test_with_one_k_there_are_points_with_intervals_and_nothing_else_is_explained(alice: Visitor) -> None:
    evaluation_made(alice, "one", KINDS["k-of-one"])
    page = page_of(alice, "evaluation-detail", name="one")
    (trace,) = figure_of(page, "scores-by-k")["data"]
    assert trace["y"] == ["Accuracy", "F1 (weighted)", "F1 (macro)", "F1 (micro)"]
    assert all(length > 0 for length in (*trace["error_x"]["array"], *trace["error_x"]["arrayminus"]))
    assert "The line through a point" in page
    assert "best k;" not in page and "logarithmic" not in page
    (alone,) = figure_of(
        page_of(alice, "evaluation-detail", {"metric": "f1_macro"}, name="one"), "scores-by-k"
    )["data"]
    assert alone["y"] == ["F1 (macro)"]


def test_batches_that_were_not_timed_are_told_of(alice: Visitor) -> None:
    made = evaluation_made(alice, "seven", KINDS["seven"])
    assert "batches are timed" not in page_of(alice, "evaluation-detail", name="seven")
    made.result["latency"] |= {"n_batches": 80, "n_batches_sent": 100}
    made.save()
    assert "80 of 100 batches are timed" in page_of(alice, "evaluation-detail", name="seven")
    del made.result["latency"]["n_batches_sent"]  # as before it was kept
    made.save()
    assert "80 of 100 batches are timed" in page_of(alice, "evaluation-detail", name="seven")


def test_errors_below_one_another_have_as_many_digits(alice: Visitor) -> None:
    made = evaluation_made(alice, "errors", KINDS["regression"])
    made.result["quality"]["rmse"][:3] = [60.6, 48.9, 0.874]
    made.result["quality"]["intervals"]["rmse"][0] = [41.0, 70.25]
    made.save()
    page = page_of(alice, "evaluation-detail", name="errors")
    assert [f">{text}</span>" in page for text in ("60.60", "48.90", "0.8740", "41.00", "70.25")] == [
        True
    ] * 5


def test_labels_are_text_and_never_markup(alice: Visitor) -> None:
    evaluation_made(alice, "japanese", KINDS["japanese"])
    for tab in ("overview", "rows"):
        page = page_of(alice, "evaluation-detail", {"tab": tab}, name="japanese")
        assert "<b>鳥" not in page and "&lt;b&gt;鳥&lt;/b&gt;" in page and "犬" in page
    query = {"tab": "rows", "label": "「魚」,=1+1"}
    assert alice.get("evaluation-detail", query, name="japanese").context["n_found"] == 12
    text = downloaded(alice, "japanese", table="confusion")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))
    assert [row[0] for row in rows[1:4]] == ["犬", "猫", "<b>鳥</b>"]


# Before there is a result


def test_while_it_runs_it_says_how_far_it_is_and_can_be_stopped(alice: Visitor, bob: Visitor) -> None:
    evaluation_made(alice, "running", status=EvaluationStatus.IN_PROGRESS)
    page = page_of(alice, "evaluation-detail", name="running")
    assert "31 / 100" in page and "about 41 s left" in page and "28 %" in page
    assert 'hx-trigger="every 1s"' in page and alice.url("evaluation-stop", name="running") in page
    seen = re.search(r"seen=(\w+)", page)
    assert seen
    poll = alice.client.get(
        alice.url("evaluation-detail", name="running"),
        {"seen": seen.group(1)},
        headers={"HX-Request": "true", "HX-Target": "evaluation-state"},
    )
    text = poll.content.decode()
    assert "<html" not in text and "hx-swap-oob" not in text and "HX-Refresh" not in poll
    Evaluation.objects.update(status=EvaluationStatus.STOPPING)
    poll = alice.client.get(
        alice.url("evaluation-detail", name="running"),
        {"seen": seen.group(1)},
        headers={"HX-Request": "true", "HX-Target": "evaluation-state"},
    )
    text = poll.content.decode()
    assert 'id="evaluation-status" hx-swap-oob' in text and "Stopping" in text
    assert alice.url("evaluation-stop", name="running") not in text
    Evaluation.objects.update(status=EvaluationStatus.STOPPED)
    poll = alice.client.get(
        alice.url("evaluation-detail", name="running"),
        headers={"HX-Request": "true", "HX-Target": "evaluation-state"},
    )
    assert poll["HX-Refresh"] == "true"


def test_one_that_nobody_has_begun_says_why(alice: Visitor) -> None:
    waiting = {"progress": {}, "lease_owner": "", "lease_expires_at": None, "started_at": None}
    evaluation_made(alice, "waiting", status=EvaluationStatus.IN_PROGRESS, **waiting)
    page = page_of(alice, "evaluation-detail", name="waiting")
    assert "No worker serves the queue" in page and "<progress" in page


@pytest.mark.parametrize("status", list(EvaluationStatus))
@pytest.mark.parametrize("tab", ["overview", "rows", "api"])
def test_every_tab_of_every_state_is_a_page(alice: Visitor, status: EvaluationStatus, tab: str) -> None:
    evaluation_made(alice, "any", status=status)
    assert "any" in page_of(alice, "evaluation-detail", {"tab": tab}, name="any")


# Files


def downloaded(who: Visitor, name: str, **query: str) -> bytes:
    answer = who.get("evaluation-download", query, name=name)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Disposition"].startswith("attachment")
    return b"".join(answer.streaming_content)


@pytest.mark.parametrize("table", ["accuracy", "latency", "classes", "confusion"])
def test_every_table_is_a_file_for_spreadsheets_and_for_programs(alice: Visitor, table: str) -> None:
    evaluation_made(alice, "seven", KINDS["seven"])
    rows = list(csv.DictReader(io.StringIO(downloaded(alice, "seven", table=table).decode("utf-8-sig"))))
    found = json.loads(downloaded(alice, "seven", table=table, **{"as": "json"}))
    assert len(found["rows"]) == len(rows) > 0
    assert [column["key"] for column in found["columns"]] == list(rows[0])


def test_rows_are_a_file_of_all_that_the_filters_leave(alice: Visitor) -> None:
    evaluation_made(alice, "seven", KINDS["seven"])
    page = html.unescape(page_of(alice, "evaluation-detail", {"tab": "rows", "wrong": "1"}, name="seven"))
    assert f'{alice.url("evaluation-download", name="seven")}?wrong=1&k=100&table=rows&as=csv"' in page
    text = downloaded(alice, "seven", table="rows", wrong="1", k="1").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    accuracy = Evaluation.objects.get().result["quality"]["accuracy"][0]
    assert len(rows) == round(400 * (1 - accuracy)) > 0
    assert all(row["label"] != row["prediction"] and row["correct"] == "false" for row in rows)
    found = json.loads(downloaded(alice, "seven", table="rows", **{"as": "json"}))
    assert [row["row"] for row in found["rows"]] == list(range(1, 401))
    assert [column["key"] for column in found["columns"]] == ["row", "label", "prediction", "correct"]
    assert json.loads(downloaded(alice, "seven", table="rows", wrong="1", label="1", **{"as": "json"}))[
        "rows"
    ]
    for query in ({"k": "101"}, {"label": "nothing"}, {"as": "xml"}):
        assert alice.get("evaluation-download", {"table": "rows", **query}, name="seven").status_code == 400


def test_rows_of_errors_and_of_nothing_are_files_too(alice: Visitor) -> None:
    evaluation_made(alice, "errors", KINDS["regression-no-k"])
    (first, *_others) = json.loads(downloaded(alice, "errors", table="rows", **{"as": "json"}))["rows"]
    assert first["error"] == pytest.approx(first["prediction"] - first["label"], abs=1e-5)
    evaluation_made(alice, "unlabelled", KINDS["unlabelled"])
    assert json.loads(downloaded(alice, "unlabelled", table="rows", **{"as": "json"}))["rows"] == []


def test_a_table_that_there_is_not_is_not_found(alice: Visitor) -> None:
    evaluation_made(alice, "unlabelled", KINDS["unlabelled"])
    assert alice.get("evaluation-download", {"table": "confusion"}, name="unlabelled").status_code == 404
    assert alice.get("evaluation-download", {"table": "nothing"}, name="unlabelled").status_code == 400
    assert alice.get("evaluation-download", {"as": "xml"}, name="unlabelled").status_code == 400


# The list


def test_the_list_shows_the_best_score_with_its_k_and_latencies(alice: Visitor) -> None:
    evaluation_made(alice, "by-k", KINDS["by-k"])
    evaluation_made(alice, "errors", KINDS["regression"])
    evaluation_made(alice, "failed", status=EvaluationStatus.FAILED, failure="It broke")
    page = page_of(alice, "evaluation-list")
    summary = Evaluation.objects.get(name="by-k").summary
    assert f"{summary['best']:.4f}" in page and "k = 3" in page and "k = 10" in page
    assert "RMSE" in page and "61 ms" in page and "It broke" in page
    for name in ("by-k", "errors", "failed"):
        assert f'value="{name}" form="selection"' in page


def test_evaluations_are_found_by_text_status_and_endpoint(alice: Visitor) -> None:
    evaluation_made(alice, "first", endpoint_name="alpha-1")
    evaluation_made(alice, "second", status=EvaluationStatus.FAILED, endpoint_name="beta-1")

    def names(**query: str) -> set[str]:
        page = page_of(alice, "evaluation-list", query)
        return {name for name in ("first", "second") if f"/evaluations/{name}/" in page}

    assert names() == {"first", "second"}
    assert names(search="ＦＩＲＳＴ") == {"first"} == names(search="alpha") == names(endpoint="alpha-1")
    assert names(status="Failed") == {"second"}
    assert names(search="nothing") == set()
    assert "No evaluation matches" in page_of(alice, "evaluation-list", {"search": "nothing"})
    assert alice.get("evaluation-list", {"status": "Odd"}).status_code == 400
    fragment = alice.client.get(
        alice.url("evaluation-list"), headers={"HX-Request": "true", "HX-Target": "evaluations"}
    ).content.decode()
    assert "<html" not in fragment and "first" in fragment


def test_an_empty_list_leads_on_for_whoever_may(alice: Visitor, bob: Visitor) -> None:
    assert alice.url("evaluation-new") in page_of(alice, "evaluation-list")
    assert alice.url("evaluation-new") not in page_of(bob, "evaluation-list")
    assert "No evaluation yet" in page_of(bob, "evaluation-list")


def test_a_page_of_the_list_asks_the_database_little_however_many_there_are(
    alice: Visitor, django_assert_max_num_queries: Any
) -> None:
    for n in range(60):
        evaluation_made(alice, f"n-{n}", Made(k_max=2, k=2, n_rows=12))
    client = alice.client
    with django_assert_max_num_queries(7):
        page = client.get(alice.url("evaluation-list")).content.decode()
    assert page.count('form="selection"') == 50 and "Next page" in page


# The form


def test_a_form_without_an_endpoint_says_what_to_do_first(alice: Visitor, bob: Visitor) -> None:
    page = page_of(alice, "evaluation-new")
    assert "There is no endpoint to measure" in page and alice.url("model-list") in page
    assert bob.get("evaluation-new").status_code == 403


# Stop, delete


def test_stopping_and_deleting_lead_back_with_a_message(alice: Visitor, bob: Visitor) -> None:
    waiting = {"progress": {}, "lease_owner": "", "lease_expires_at": None, "started_at": None}
    evaluation_made(alice, "waiting", status=EvaluationStatus.IN_PROGRESS, **waiting)
    refused = page_of(alice, "evaluation-delete", name="waiting")
    assert "It has not ended" in refused and 'type="submit" class="button danger primary"' not in refused
    assert alice.post("evaluation-delete", name="waiting").status_code == 409
    assert bob.post("evaluation-stop", name="waiting").status_code == 403
    client = alice.client
    page = client.post(alice.url("evaluation-stop", name="waiting"), follow=True).content.decode()
    assert "asked to stop" in page and "Stopped" in page
    page = client.post(alice.url("evaluation-stop", name="waiting"), follow=True).content.decode()
    assert "asked to stop" in page or "cannot be stopped" in page
    assert "its prediction for every row" in page_of(alice, "evaluation-delete", htmx=True, name="waiting")
    page = client.post(alice.url("evaluation-delete", name="waiting"), follow=True).content.decode()
    assert "is deleted" in page and not Evaluation.objects.exists()


# Where else evaluations are shown
