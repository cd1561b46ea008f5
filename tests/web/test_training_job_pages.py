"""Pages of training jobs: what they show, what the form refuses and keeps, who may do what."""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import Any

import pytest
from django.conf import settings

from jobs.models import JobEvent, TrainingJob
from mlplatform.core import clock
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append, log_end
from mlplatform.core.status import FailureKind
from tests.jobs.training.cast import dataset_make, job_make
from tests.web.conftest import Visitor

LOG_LINES = ("first line", "ERROR: \x1b[31mred\x1b[0m", "10%\r100%", "日本語の行")


@pytest.fixture
def form(alice: Visitor) -> dict[str, str]:
    """What the form posts for a job on the dataset `flags` (20 rows, 2 features)."""
    dataset_make(alice.actor)
    return {
        "name": "flags-1",
        "algorithm": "knn",
        "hp.k": "3",
        "hp.predictor_type": "classifier",
        "hp.sample_size": "20",
        "channel.train.dataset": "flags",
        "channel.train.input_mode": "File",
        "instance_type": "local.cpu",
        "max_runtime_s": "3600",
        "environment": "",
        "tags": "",
    }


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def control(page: str, name: str) -> str:
    """The tag of the form control of that name."""
    found = re.search(rf'<(?:input|select|textarea)[^>]*\bname="{re.escape(name)}"[^>]*>', page)
    assert found, f"no control named {name}"
    return found.group()


def described(page: str, name: str) -> str:
    """The error that is tied to a control."""
    tag = control(page, name)
    assert 'aria-invalid="true"' in tag
    ids = re.search(r'aria-describedby="([^"]*)"', tag)
    assert ids, tag
    error = next(one for one in ids.group(1).split() if one.endswith("-error"))
    found = re.search(rf'<p class="error" id="{re.escape(error)}">.*?<span>(.*?)</span></p>', page, re.S)
    assert found, f"no error {error}"
    return found.group(1)


def ended(actor: Any, name: str, **changes: Any) -> TrainingJob:
    """A job that has ended, with a log."""
    job = job_make(actor, name)
    lines = [LogLines.of(line, 1_790_000_000_000 + 1500 * n) for n, line in enumerate(LOG_LINES)]
    log_append(stream=job.log, lines=lines)
    log_end(stream=job.log)
    values = {"status": "Completed", "secondary_status": "Completed", "ended_at": clock.now(), **changes}
    TrainingJob.objects.filter(pk=job.pk).update(**values)
    return TrainingJob.objects.get(pk=job.pk)


def test_without_jobs_the_list_names_the_next_step(alice: Visitor, bob: Visitor) -> None:
    page = text_of(alice.get("training-job-list"))
    assert "No training job yet" in page
    assert alice.url("training-job-new") in page


def test_the_list_shows_the_jobs_of_the_project_and_filters_them(alice: Visitor, charlie: Visitor) -> None:
    ended(alice.actor, "done", final_metrics={"test:accuracy": 0.9736842105})
    job_make(alice.actor, "waiting")
    job_make(charlie.actor, "elsewhere")
    page = text_of(alice.get("training-job-list"))
    assert "2 training jobs" in page and ">done<" in page and ">waiting<" in page
    assert "0.9737" in page
    assert "elsewhere" not in page
    completed = text_of(alice.get("training-job-list", {"status": "Completed"}))
    assert ">done<" in completed and ">waiting<" not in completed
    assert "No training job matches" in text_of(alice.get("training-job-list", {"search": "xyz"}))


def test_the_list_asks_a_fixed_number_of_questions(
    alice: Visitor, django_assert_max_num_queries: Any
) -> None:
    for n in range(12):
        job_make(alice.actor, f"job-{n}")
    client, url = alice.client, alice.url("training-job-list")
    with django_assert_max_num_queries(8):
        client.get(url)


def test_a_running_job_makes_the_list_refresh_itself(alice: Visitor) -> None:
    job_make(alice.actor, "waiting")
    assert 'hx-trigger="every 3s"' in text_of(alice.get("training-job-list"))
    ended(alice.actor, "done")
    assert 'hx-trigger="every 3s"' not in text_of(alice.get("training-job-list", {"status": "Completed"}))


def test_an_attempt_that_was_lost_is_no_success_in_the_line_of_stages(alice: Visitor) -> None:
    dataset_make(alice.actor)
    job = job_make(alice.actor, "retried")
    for status in ("Training", "Interrupted", "Pending"):
        JobEvent.objects.create(job=job, attempt=1, secondary_status=status, message="x", at=clock.now())
    stages = alice.get("training-job-detail", name="retried").context["stages"]
    assert {stage.status: stage.tone_when_left for stage in stages} == {
        "Pending": "good",
        "Training": "good",
        "Interrupted": "warning",
    }


def test_the_form_for_a_dataset_is_filled_with_what_follows_from_it(alice: Visitor) -> None:
    dataset_make(alice.actor)
    page = text_of(alice.get("training-job-new", {"train": "flags"}))
    assert 'value="20"' in control(page, "hp.sample_size")
    assert 'value="2"' in control(page, "hp.feature_dim")
    assert re.search(r'<option value="flags" selected>', page)
    assert re.search(r'<option value="classifier" selected>', page)


def test_a_job_is_created_and_its_page_shown(alice: Visitor, form: dict[str, str]) -> None:
    response = alice.post("training-job-new", form)
    assert response.status_code == 302
    assert response["Location"] == alice.url("training-job-detail", name="flags-1")
    job = TrainingJob.objects.get(name="flags-1")
    assert job.hyperparameters == {"k": "3", "predictor_type": "classifier", "sample_size": "20"}
    assert job.max_runtime_s == 3600


def test_full_width_digits_and_letters_are_accepted(alice: Visitor, form: dict[str, str]) -> None:
    form |= {"hp.k": "３", "max_runtime_s": "３６００", "name": "ｆｌａｇｓ－２"}
    assert alice.post("training-job-new", form).status_code == 302
    job = TrainingJob.objects.get(name="flags-2")
    assert (job.hyperparameters["k"], job.max_runtime_s) == ("3", 3600)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("hp.k", "0", "at least 1"),
        ("hp.k", "21", "exceeds sample_size 20"),
        ("hp.k", "many", "whole number"),
        ("hp.k", "", "required"),
        ("name", "../etc", "not a valid name"),
        ("max_runtime_s", "soon", "whole seconds"),
        ("max_runtime_s", "0", "from 1 to"),
        ("environment", "LD_PRELOAD=x", "LD_PRELOAD"),
        ("environment", "no equals sign", "no equals sign"),
        ("channel.train.dataset", "nowhere", "nowhere"),
    ],
)
def test_a_wrong_value_is_named_beside_its_field_and_kept(
    alice: Visitor, form: dict[str, str], name: str, value: str, says: str
) -> None:
    response = alice.post("training-job-new", form | {name: value})
    assert response.status_code == 400
    page = text_of(response)
    assert says in described(page, name)
    assert value in page
    assert 'value="20"' in control(page, "hp.sample_size")  # the other values are kept
    assert not TrainingJob.objects.exists()


def test_a_wrong_value_is_named_in_japanese(alice: Visitor, form: dict[str, str]) -> None:
    client = alice.client
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "ja"
    page = text_of(client.post(alice.url("training-job-new"), form | {"hp.k": "0", "name": "a b"}))
    assert '"0" は受け付けられません。1 以上の整数を指定してください' in described(page, "hp.k")
    assert "'a b' は名前にできません。" in described(page, "name")


def test_every_wrong_field_is_named_at_once(alice: Visitor, form: dict[str, str]) -> None:
    wrong = {"hp.k": "0", "name": "a b", "max_runtime_s": "x", "tags": "\x07=1"}
    page = text_of(alice.post("training-job-new", form | wrong))
    for name in wrong:
        assert described(page, name)
    assert "4 fields need another value." in page


def test_more_clusters_than_rows_are_refused_at_their_field(alice: Visitor, form: dict[str, str]) -> None:
    form |= {"hp.index_type": "faiss.IVFFlat", "hp.faiss_index_ivf_nlists": "5000"}
    page = text_of(alice.post("training-job-new", form))
    assert "5000" in described(page, "hp.faiss_index_ivf_nlists")


def test_a_field_that_depends_on_another_says_on_which(alice: Visitor, form: dict[str, str]) -> None:
    page = text_of(alice.get("training-job-new"))
    assert re.search(r'data-relevant="\{"index_type": \["faiss.IVFFlat", "faiss.IVFPQ"\]\}"', page)


def test_an_unknown_hyperparameter_is_named_above_the_form(alice: Visitor, form: dict[str, str]) -> None:
    response = alice.post("training-job-new", form | {"hp.depth": "3"})
    assert response.status_code == 400
    assert "depth" in text_of(response).split('class="form-errors"')[1].split("<section")[0]


def test_another_algorithm_begins_with_what_fits_the_dataset(alice: Visitor, form: dict[str, str]) -> None:
    page = text_of(alice.post("training-job-new", form | {"algorithm": "xgboost", "intent": "algorithm"}))
    assert 'value="100"' in control(page, "hp.num_round")
    chosen = re.search(r'<select[^>]*name="hp.objective".*?</select>', page, re.S)
    assert chosen and re.search(r'value="binary:logistic"[^>]*selected', chosen.group())
    assert 'name="hp.k"' not in page
    given = {name: value for name, value in form.items() if not name.startswith("hp.")}
    given |= {"algorithm": "xgboost", "hp.num_round": "100", "hp.objective": "binary:logistic"}
    assert alice.post("training-job-new", given).status_code == 302
    assert TrainingJob.objects.get().algorithm == "xgboost"


@pytest.mark.parametrize("algorithm", ["linear-learner", "kmeans", "oracle"])
def test_another_algorithm_does_without_a_dataset(
    alice: Visitor, form: dict[str, str], algorithm: str
) -> None:
    given = form | {"algorithm": algorithm, "intent": "algorithm", "channel.train.dataset": "ghost"}
    assert alice.post("training-job-new", given).status_code == (404 if algorithm == "oracle" else 200)


def test_a_name_that_is_taken_is_refused_at_its_field(alice: Visitor, form: dict[str, str]) -> None:
    alice.post("training-job-new", form)
    response = alice.post("training-job-new", form)
    assert response.status_code == 409
    assert "already exists" in described(text_of(response), "name")
    assert TrainingJob.objects.count() == 1


def test_an_instance_type_that_is_used_up_is_refused_with_the_numbers(
    alice: Visitor, form: dict[str, str]
) -> None:
    for n in range(4):
        job_make(alice.actor, f"gpu-{n}", instance_type="ml.p2.xlarge")
    response = alice.post("training-job-new", form | {"instance_type": "ml.p2.xlarge"})
    assert response.status_code == 400
    assert "4 of 4 instances of ml.p2.xlarge are in use" in text_of(response)
    assert "4 / 4" in text_of(response)


def test_the_call_by_rest_is_the_job_that_the_form_would_create(alice: Visitor, form: dict[str, str]) -> None:
    form |= {"tags": "team=検索\nquote=it's", "metric.name": "loss", "metric.regex": "loss=([0-9.]+)"}
    response = alice.post("training-job-new", form | {"intent": "preview"}, htmx=True)
    assert not TrainingJob.objects.exists()
    command = re.search(r"<code[^>]*>(.*)</code>", text_of(response), re.S)
    assert command
    words = shlex.split(command.group(1).replace("\\\n", " "))
    body = json.loads(words[words.index("-d") + 1])
    assert words[:4] == ["curl", "-X", "POST", "http://testserver/api/v1/projects/alpha/training-jobs/"]
    answer = alice.client.post(
        "/api/v1/projects/alpha/training-jobs/", json.dumps(body), content_type="application/json"
    )
    assert answer.status_code == 201, answer.content
    job = TrainingJob.objects.get()
    assert job.tags == {"team": "検索", "quote": "it's"}
    assert job.metric_definitions == [{"name": "loss", "regex": "loss=([0-9.]+)"}]


def test_a_clone_is_prefilled_and_remembers_where_it_came_from(alice: Visitor, form: dict[str, str]) -> None:
    alice.post("training-job-new", form | {"tags": "team=search", "environment": "A=1"})
    page = text_of(alice.get("training-job-new", {"clone": "flags-1"}))
    assert 'value="3"' in control(page, "hp.k")
    assert 'value="flags-1"' in control(page, "cloned_from")
    assert "team=search" in page and "A=1" in page
    assert re.search(r'<option value="flags@1" selected>', page)


def test_the_address_of_a_clone_may_change_a_hyperparameter(alice: Visitor, form: dict[str, str]) -> None:
    alice.post("training-job-new", form)
    page = text_of(alice.get("training-job-new", {"clone": "flags-1", "hp.k": "７"}))
    assert 'value="7"' in control(page, "hp.k")
    assert 'value="flags-1"' in control(page, "cloned_from")


def test_a_clone_of_a_job_on_a_uri_keeps_uri_and_content_type(alice: Visitor) -> None:
    from jobs.services.channels import ChannelRequest

    version = dataset_make(alice.actor)
    channel = ChannelRequest(uri=version.uri, content_type="text/csv;label_size=1", input_mode="Pipe")
    job_make(alice.actor, "from-uri", channels={"train": channel})
    page = text_of(alice.get("training-job-new", {"clone": "from-uri"}))
    assert f'value="{version.uri}"' in control(page, "channel.train.uri")
    assert 'value="text/csv;label_size=1"' in control(page, "channel.train.content_type")


def test_the_tester_shows_what_a_definition_finds(alice: Visitor) -> None:
    data = {"metric.name": "loss", "metric.regex": "loss=([0-9.]+)", "metric_text": "loss=0.5\nno\nloss=0.25"}
    page = text_of(alice.post("training-job-metric-test", data, htmx=True))
    assert re.findall(r'<mark title="loss">([0-9.]+)</mark>', page) == ["0.5", "0.25"]
    assert "0.25" in page


@pytest.mark.parametrize("regex", ["(", "(a+)+\\1", "no group", "(?=x)([0-9])"])
def test_the_tester_refuses_with_the_reason(alice: Visitor, regex: str) -> None:
    data = {"metric.name": "loss", "metric.regex": regex, "metric_text": "aaaa"}
    page = text_of(alice.post("training-job-metric-test", data, htmx=True))
    refusal = page[page.index("tester-refusal") :]
    assert repr(regex) in refusal
    assert "is not accepted" in refusal or "has no group" in refusal


def test_the_poll_of_a_running_job_brings_only_what_has_changed(alice: Visitor) -> None:
    job = job_make(alice.actor, "waiting")
    page = text_of(alice.get("training-job-detail", name="waiting"))
    seen = re.search(r"seen=([0-9a-f]+)", page)
    assert seen
    headers = {"HX-Request": "true", "HX-Target": "job-state"}
    url = alice.url("training-job-detail", name="waiting")
    same = text_of(alice.client.get(url, {"seen": seen.group(1)}, headers=headers))
    assert "hx-swap-oob" not in same and "every 1s" in same
    TrainingJob.objects.filter(pk=job.pk).update(status="Completed", secondary_status="Completed")
    changed = text_of(alice.client.get(url, {"seen": seen.group(1)}, headers=headers))
    assert 'id="job-actions" hx-swap-oob' in changed and "Deploy" in changed
    assert "every 1s" not in changed  # it has ended: nobody asks again


def test_a_job_on_a_queue_that_nobody_serves_says_so(alice: Visitor) -> None:
    job_make(alice.actor, "waiting", instance_type="local.gpu")
    page = text_of(alice.get("training-job-detail", name="waiting"))
    assert "No worker serves the queue" in page and "gpu" in page


@pytest.mark.parametrize("kind", list(FailureKind))
def test_each_kind_of_failure_has_a_card_with_cause_and_next_step(alice: Visitor, kind: FailureKind) -> None:
    from mlplatform.web.failures import failure_cause

    failure = {
        "kind": kind.value,
        "reason": "what happened",
        "row": 17,
        "column": "petal",
        "value": "n/a",
        "exit_code": 1,
        "signal": None,
        "log_tail": ["\x1b[31mred\x1b[0m line", "10%\r99%"],
        "first_line": 3,
    }
    ended(alice.actor, "broken", status="Failed", secondary_status="Failed", failure=failure)
    page = text_of(alice.get("training-job-detail", name="broken"))
    card = page.split('class="failure"')[1].split("</section>")[0]
    cause = failure_cause(kind.value)
    assert cause.title != kind.value and cause.title in card
    assert cause.next_step and cause.next_step in card
    assert "what happened" in card
    for fact in ("17", "petal", "n/a"):
        assert f"<dd>{fact}</dd>" in card
    assert "<code>red line</code>" in card and "<code>99%</code>" in card
    assert 'href="?tab=logs#L3-L4"' in card  # the lines of the log that the card shows
    assert 'href="?tab=logs#L4"' in card


def test_a_job_that_may_be_named_like_a_page_has_one(alice: Visitor) -> None:
    job_make(alice.actor, "new")
    assert "<h1>new " in text_of(alice.get("training-job-detail", name="new"))


@pytest.mark.parametrize("tab", ["overview", "metrics", "logs", "events", "api", "nonsense"])
def test_every_tab_answers_for_a_job_without_anything_yet(alice: Visitor, tab: str) -> None:
    job = job_make(alice.actor, "waiting")
    JobEvent.objects.filter(job=job).delete()
    assert alice.get("training-job-detail", {"tab": tab}, name="waiting").status_code == 200


def test_a_pending_job_is_stopped_at_once(alice: Visitor) -> None:
    job_make(alice.actor, "waiting")
    response = alice.post("training-job-stop", name="waiting")
    assert response.status_code == 302
    assert TrainingJob.objects.get(name="waiting").status == "Stopped"


def test_stopping_a_job_that_has_just_ended_says_so_on_its_page(alice: Visitor) -> None:
    ended(alice.actor, "done")
    client = alice.client
    page = client.post(alice.url("training-job-stop", name="done"), follow=True)
    assert page.status_code == 200
    assert "has ended already" in text_of(page)


def test_a_job_is_deleted_after_a_question(alice: Visitor) -> None:
    ended(alice.actor, "done")
    question = text_of(alice.get("training-job-delete", name="done"))
    assert "Delete training job done?" in question
    assert TrainingJob.objects.filter(name="done").exists()
    assert alice.post("training-job-delete", name="done").status_code == 302
    assert not TrainingJob.objects.filter(name="done").exists()


def test_the_log_is_read_in_slices(alice: Visitor) -> None:
    ended(alice.actor, "done")
    tail = alice.get("training-job-log", {"tail": 2}, name="done").json()
    assert tail["text"] == "10%\r100%\n日本語の行\n"
    assert (tail["first_line"], tail["n_lines"], len(tail["times"])) == (3, 4, 2)
    some = alice.get("training-job-log", {"first": 2, "n": 1}, name="done").json()
    assert some["text"].startswith("ERROR") and some["first_line"] == 2


def test_the_log_is_searched_for_text_and_by_expression(alice: Visitor) -> None:
    ended(alice.actor, "done")
    found = alice.get("training-job-log", {"search": "error"}, name="done").json()
    assert [one["line"] for one in found["found"]] == [2]
    assert found["note"] == "1 line matches:"
    expression = {"search": "^first|行$", "regular": "1"}
    found = alice.get("training-job-log", expression, name="done").json()
    assert [one["line"] for one in found["found"]] == [1, 4]
    wrong = alice.get("training-job-log", {"search": "(", "regular": "1"}, name="done").json()
    assert "RE2" in wrong["error"]
    assert alice.get("training-job-log", {"search": "xyz"}, name="done").json()["note"] == "No line matches."


def test_a_number_that_is_none_is_refused_by_the_log(alice: Visitor) -> None:
    ended(alice.actor, "done")
    for query in ({"first": "-1"}, {"tail": "1e9"}, {"after": "９"}):
        assert alice.get("training-job-log", query, name="done").status_code == 400


def test_the_whole_log_is_downloaded(alice: Visitor) -> None:
    ended(alice.actor, "done")
    response = alice.get("training-job-log-download", name="done")
    assert b"".join(response.streaming_content).decode() == "\n".join(LOG_LINES) + "\n"
    assert response["Content-Disposition"] == 'attachment; filename="done.log"'
    assert response["Content-Type"].startswith("text/plain")


def test_a_viewer_sees_a_job_and_cannot_change_it(alice: Visitor, bob: Visitor) -> None:
    dataset_make(alice.actor)
    job_make(alice.actor, "waiting")
    page = text_of(bob.get("training-job-detail", name="waiting"))
    for button in ("Stop", "Clone", "Delete"):
        assert f">{button}<" not in page
    assert alice.url("training-job-new") not in text_of(bob.get("training-job-list"))
    assert bob.get("training-job-new").status_code == 403
    assert bob.post("training-job-new", {"name": "x"}).status_code == 403
    assert bob.post("training-job-stop", name="waiting").status_code == 403
    assert bob.get("training-job-delete", name="waiting").status_code == 403
    assert bob.post("training-job-delete", name="waiting").status_code == 403
    assert TrainingJob.objects.get(name="waiting").status == "InProgress"


JOB_PAGES = (
    "training-job-detail",
    "training-job-delete",
    "training-job-metrics",
    "training-job-artifact",
    "training-job-log",
    "training-job-log-stream",
    "training-job-log-download",
)


@pytest.mark.parametrize("page", JOB_PAGES)
def test_a_job_of_another_project_is_as_unknown_as_none(alice: Visitor, charlie: Visitor, page: str) -> None:
    ended(alice.actor, "done")
    assert charlie.client.get(alice.url(page, name="done")).status_code == 404
    assert charlie.get(page, name="done").status_code == 404
    assert alice.get(page, name="missing").status_code == 404


def test_stopping_a_job_of_another_project_finds_none(alice: Visitor, charlie: Visitor) -> None:
    job_make(alice.actor, "waiting")
    assert charlie.client.post(alice.url("training-job-stop", name="waiting")).status_code == 404
    assert charlie.post("training-job-stop", name="waiting").status_code == 404
    assert TrainingJob.objects.get().status == "InProgress"


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(alice: Visitor, client: Any) -> None:
    job_make(alice.actor, "waiting")
    response = client.get(alice.url("training-job-detail", name="waiting"))
    assert response.status_code == 302
    assert "/login/" in response["Location"]


def test_a_clone_says_at_once_that_its_dataset_is_gone(alice: Visitor, form: dict[str, str]) -> None:
    alice.post("training-job-new", form)
    TrainingJob.objects.update(status="Stopped", secondary_status="Stopped")
    alice.post("dataset-delete", name="flags")
    page = text_of(alice.get("training-job-new", {"clone": "flags-1"}))
    assert "flags@1 is no longer there" in described(page, "channel.train.dataset")


def test_stopping_a_job_keeps_the_tab_that_is_open(alice: Visitor) -> None:
    job_make(alice.actor, "waiting")
    url = alice.url("training-job-stop", name="waiting")
    assert f'action="{url}?tab=logs"' in text_of(
        alice.get("training-job-detail", {"tab": "logs"}, name="waiting")
    )
    response = alice.client.post(f"{url}?tab=logs")
    assert response["Location"] == alice.url("training-job-detail", name="waiting") + "?tab=logs"


def test_what_was_said_of_a_stopping_job_goes_when_it_has_stopped(alice: Visitor) -> None:
    job_make(alice.actor, "waiting")
    headers = {"HX-Request": "true", "HX-Target": "job-state"}
    url = alice.url("training-job-detail", name="waiting") + "?seen=other"
    assert 'id="messages"' not in text_of(alice.client.get(url, headers=headers))
    alice.post("training-job-stop", name="waiting")
    assert '<div id="messages" hx-swap-oob="innerHTML"></div>' in text_of(
        alice.client.get(url, headers=headers)
    )
