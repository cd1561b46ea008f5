"""Pages of training jobs: the list, what a job shows, who may do what."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jobs.models import JobEvent, TrainingJob
from mlplatform.core import clock
from mlplatform.core.status import FailureKind
from tests.jobs.training.cast import dataset_make, job_make
from tests.web.conftest import Visitor
from tests.web.reading import text_of
from tests.web.training_jobs import ended


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
    assert ">elsewhere<" not in page
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
