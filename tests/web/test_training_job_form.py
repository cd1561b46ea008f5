"""The form of training jobs: what it begins with, refuses and keeps; clones, the call by REST, the tester."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from django.conf import settings

from jobs.models import TrainingJob
from tests.jobs.training.cast import dataset_make, job_make
from tests.web.conftest import Visitor
from tests.web.reading import control, described, text_of


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


def test_a_clone_says_at_once_that_its_dataset_is_gone(alice: Visitor, form: dict[str, str]) -> None:
    alice.post("training-job-new", form)
    TrainingJob.objects.update(status="Stopped", secondary_status="Stopped")
    alice.post("dataset-delete", name="flags")
    page = text_of(alice.get("training-job-new", {"clone": "flags-1"}))
    assert "flags@1 is no longer there" in described(page, "channel.train.dataset")
