"""Pages of tuning jobs: what the list and one tuning job show in every state, who may do what, trials as files."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from jobs.models import TrainingJob, TuningJob
from mlplatform.core.status import TrialStatus
from tests.web.conftest import Visitor
from tests.web.reading import text_of
from tests.web.tuning import RANGES, Trials, halfway, tuning_make

TABS = ("overview", "trials", "charts", "api")
HALFWAY = Trials(statuses=halfway)


def detail(visitor: Visitor, name: str, query: dict[str, Any] | None = None) -> str:
    response = visitor.get("tuning_job", query, name=name)
    assert response.status_code == 200
    return text_of(response)


def polled(visitor: Visitor, name: str, query: dict[str, Any], seen: str) -> Any:
    headers = {"HX-Request": "true", "HX-Target": "tuning-state", "X-Seen": seen}
    return visitor.client.get(visitor.url("tuning_job", name=name), query, headers=headers)


def seen_on(page: str) -> str:
    found = re.search(r'"X-Seen": "([^"]+)"', page)
    assert found
    return found.group(1)


def numbers_of(page: str) -> list[int]:
    return [int(one) for one in re.findall(r'<th scope="row" class="numeric">(\d+)<', page)]


def test_without_tuning_jobs_the_list_offers_one_on_sample_data(alice: Visitor, bob: Visitor) -> None:
    page = text_of(alice.get("tuning_jobs"))
    assert "No tuning job yet" in page
    assert f"{alice.url('tuning_job_new')}?sample=1" in page
    assert "?sample=" not in text_of(bob.get("tuning_jobs"))


def test_the_list_says_how_far_each_is_and_how_good(alice: Visitor, charlie: Visitor) -> None:
    done = tuning_make(alice.actor, "done")
    tuning_make(alice.actor, "halfway", HALFWAY)
    tuning_make(charlie.actor, "elsewhere")
    page = text_of(alice.get("tuning_jobs"))
    assert "2 tuning jobs" in page and ">elsewhere<" not in page
    assert done.best_trial is not None and f"{done.best_trial.value:.4g}" in page
    for words in ("12 of 12 trials", "10 of 12 trials", "2 without a value", "2 running"):
        assert words in page
    assert 'hx-trigger="every 3s"' in page
    assert ">halfway<" not in text_of(alice.get("tuning_jobs", {"status": "Completed"}))
    assert ">halfway<" in text_of(alice.get("tuning_jobs", {"search": "ｈａｌｆ"}))
    assert "No tuning job matches" in text_of(alice.get("tuning_jobs", {"strategy": "Grid"}))
    ordered = text_of(alice.get("tuning_jobs", {"order": "name"}))
    assert re.findall(r'<th scope="row" class="name"><a [^>]*>(\w+)<', ordered) == ["done", "halfway"]


def test_the_list_asks_a_fixed_number_of_questions(
    alice: Visitor, django_assert_max_num_queries: Any
) -> None:
    for n in range(6):
        tuning_make(alice.actor, f"one-{n}", Trials(n=2))
    client, url = alice.client, alice.url("tuning_jobs")
    with django_assert_max_num_queries(8):
        client.get(url)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("state", ["nothing", "waiting", "halfway", "failed", "done", "one", "stopped"])
def test_every_tab_answers_in_every_state(alice: Visitor, tab: str, state: str) -> None:
    made = {
        "nothing": Trials(n=0),
        "waiting": Trials(n=2, statuses=lambda number: TrialStatus.PENDING),
        "halfway": HALFWAY,
        "failed": Trials(n=3, statuses=lambda number: TrialStatus.NO_METRIC, values={"status": "Failed"}),
        "done": Trials(),
        "one": Trials(n=1, ranges=RANGES[:1]),
        "stopped": Trials(n=2, statuses=lambda number: TrialStatus.STOPPED, values={"status": "Stopped"}),
    }
    tuning_make(alice.actor, state, made[state])
    page = detail(alice, state, {"tab": tab})
    assert ('hx-trigger="every 2s"' in page) == (state in ("nothing", "waiting", "halfway"))
    if state in ("nothing", "waiting", "failed", "stopped") and tab in ("overview", "charts"):
        assert "No trial has a value yet" in page


@pytest.mark.parametrize("tab", TABS)
def test_one_tuning_job_asks_a_fixed_number_of_questions(
    alice: Visitor, tab: str, django_assert_max_num_queries: Any
) -> None:
    tuning_make(alice.actor, "long", Trials(n=40))
    client, url = alice.client, alice.url("tuning_job", name="long")
    with django_assert_max_num_queries(9):
        client.get(url, {"tab": tab})


def test_the_best_trial_can_be_deployed_and_trained_again(alice: Visitor, bob: Visitor) -> None:
    best = tuning_make(alice.actor).best_trial
    assert best is not None and best.training_job is not None
    page = detail(alice, "tuned")
    assert f"in trial {best.number}" in page
    assert alice.url("training-job-deploy", name=best.training_job.name) in page
    assert f"?clone={best.training_job.name}" in page
    assert "All 12 trials have ended" in page
    seen_by_bob = detail(bob, "tuned")
    assert "Deploy the best" not in seen_by_bob and "?clone=" not in seen_by_bob


def test_trials_say_what_became_of_them(alice: Visitor) -> None:
    tuning_make(alice.actor, "halfway", HALFWAY)
    page = detail(alice, "halfway", {"tab": "trials"})
    for words in (
        "row 17 has no label",
        "validation:rmse was not printed: 0 matches in the log",
        "worse than the median at step 6",
        "0 matches so far",
        "steps-line",
        "halfway-001-",
    ):
        assert words in page
    assert numbers_of(page) == list(range(1, 13))
    assert numbers_of(detail(alice, "halfway", {"tab": "trials", "show": "failed"})) == [3, 5]
    assert "No trial is in this state" in detail(alice, "halfway", {"tab": "trials", "show": "stopped"})


def test_trials_are_sorted_by_any_column_and_what_has_no_value_comes_last(alice: Visitor) -> None:
    tuning_job = tuning_make(alice.actor, "halfway", HALFWAY)
    valued = {one.number: one.value for one in tuning_job.trials.all() if one.value is not None}
    rising = numbers_of(detail(alice, "halfway", {"tab": "trials", "order": "value"}))
    assert rising[: len(valued)] == sorted(valued, key=lambda number: valued[number] or 0)
    assert set(rising[len(valued) :]) == {3, 5, 11, 12}
    by_depth = numbers_of(detail(alice, "halfway", {"tab": "trials", "order": "-p.max_depth"}))
    depths = {one.number: int(one.parameters["max_depth"]) for one in tuning_job.trials.all()}
    assert [depths[number] for number in by_depth] == sorted(depths.values(), reverse=True)
    assert numbers_of(detail(alice, "halfway", {"tab": "trials", "order": "nonsense"})) == list(range(1, 13))


def test_a_poll_brings_only_what_has_changed(alice: Visitor) -> None:
    tuning_job = tuning_make(alice.actor, "halfway", HALFWAY)
    for tab in TABS:
        query = {"tab": tab}
        seen = seen_on(detail(alice, "halfway", query))
        same = text_of(polled(alice, "halfway", query, seen))
        assert "hx-swap-oob" not in same and "10 of 12 trials" in same
    seen = seen_on(detail(alice, "halfway", {"tab": "charts"}))
    trial = tuning_job.trials.get(number=11)
    trial.status, trial.value = TrialStatus.COMPLETED, 54.0
    trial.save()
    changed = text_of(polled(alice, "halfway", {"tab": "charts"}, seen))
    for name in ("history", "timeline", "distribution", "slice-1", "contour"):
        assert f'<x-figure for="{name}">' in changed
    assert 'id="tuning-parallel"' in changed


def test_the_first_value_draws_the_page_anew(alice: Visitor) -> None:
    tuning_job = tuning_make(alice.actor, "new", Trials(n=1, statuses=lambda number: TrialStatus.IN_PROGRESS))
    seen = seen_on(detail(alice, "new", {"tab": "charts"}))
    trial = tuning_job.trials.get()
    trial.status, trial.value = TrialStatus.COMPLETED, 54.0
    trial.save()
    assert polled(alice, "new", {"tab": "charts"}, seen)["HX-Refresh"] == "true"
    assert "HX-Refresh" not in polled(alice, "new", {"tab": "trials"}, seen)


def test_a_deleted_tuning_job_sends_a_poll_to_the_list(alice: Visitor) -> None:
    answer = polled(alice, "gone", {}, "0")
    assert answer["HX-Redirect"] == alice.url("tuning_jobs")
    assert alice.get("tuning_job", name="gone").status_code == 404


def test_the_contour_is_of_the_two_parameters_that_are_chosen(alice: Visitor) -> None:
    tuning_make(alice.actor)
    page = alice.get("tuning_job", {"tab": "charts"}, name="tuned")
    assert (page.context["contour_x"], page.context["contour_y"]) == ("eta", "max_depth")
    headers = {"HX-Request": "true", "HX-Target": "tuning-contour"}
    query = {"tab": "charts", "x": "booster", "y": "eta"}
    answer = alice.client.get(alice.url("tuning_job", name="tuned"), query, headers=headers)
    assert (answer.context["contour_x"], answer.context["contour_y"]) == ("booster", "eta")
    assert "x=booster" in answer["HX-Replace-Url"]
    assert "<html" not in text_of(answer)


def test_trials_come_as_files(alice: Visitor) -> None:
    tuning_make(alice.actor, "halfway", HALFWAY)
    answer = alice.get("tuning_job_trials", {"as": "csv", "order": "value"}, name="halfway")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert len(rows) == 12 and rows[0]["best"] == "1" and rows[0]["eta"]
    assert [row["explanation"] for row in rows if row["trial"] == "3"] == ["row 17 has no label"]
    answer = alice.get("tuning_job_trials", {"as": "json"}, name="halfway")
    found = json.loads(b"".join(answer.streaming_content))
    assert [row["trial"] for row in found["rows"]] == list(range(1, 13))
    assert found["marks"][0]["mark"] == "best"


def test_a_job_says_which_trial_it_is(alice: Visitor) -> None:
    trial = tuning_make(alice.actor).trials.get(number=7)
    assert trial.training_job is not None
    page = text_of(alice.get("training-job-detail", name=trial.training_job.name))
    assert "trial 7 of tuning job tuned" in page
    assert f"{alice.url('tuning_job', name='tuned')}?tab=trials" in page
    assert f"?job={trial.training_job.name}" in page


def test_a_deleted_training_job_is_no_link(alice: Visitor) -> None:
    tuning_job = tuning_make(alice.actor)
    name = tuning_job.trials.get(number=2).job_name
    TrainingJob.objects.filter(name=name).delete()
    page = detail(alice, "tuned", {"tab": "trials"})
    assert f"{name} (deleted)" in page
    assert alice.url("training-job-detail", name=name) not in page
    detail(alice, "tuned", {"tab": "charts"})


def test_who_may_not_edit_may_not_change_and_others_see_nothing(bob: Visitor, charlie: Visitor) -> None:
    tuning_make(bob.actor)
    for page in ("tuning_job_stop", "tuning_job_extend", "tuning_job_delete"):
        assert bob.post(page, name="tuned").status_code == 403
        assert charlie.post(page, name="tuned").status_code == 404
    assert bob.get("tuning_job_new").status_code == 403
    for page in ("tuning_job", "tuning_job_trials", "tuning_job_importance"):
        assert charlie.get(page, name="tuned").status_code == 404
    assert TuningJob.objects.filter(name="tuned").exists()


def test_what_is_asked_before_a_tuning_job_goes(alice: Visitor) -> None:
    tuning_make(alice.actor)
    tuning_make(alice.actor, "halfway", HALFWAY)
    page = text_of(alice.get("tuning_job_delete", name="tuned"))
    assert "its settings and 12 trials" in page and "12 training jobs stay" in page
    assert "Stop it first" in text_of(alice.get("tuning_job_delete", name="halfway"))
