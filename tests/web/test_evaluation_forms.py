"""Forms of evaluations and where else they are shown: with a real dataset, model and endpoint."""

from __future__ import annotations

import html
import re
import shlex

import pytest

from endpoints.models import Endpoint, Evaluation
from jobs.services.datasets import dataset_create_from_sample
from mlplatform.core.models import Project, Role
from mlplatform.core.status import EndpointStatus, EvaluationStatus
from mlplatform.core.text import text as said
from tests.web.conftest import Visitor, visitor
from tests.web.evaluations import evaluation_made
from tests.web.reading import error_beside
from tests.web.test_evaluation_pages import page_of


@pytest.fixture
def in_service(alice_at_street: Visitor) -> Endpoint:
    """The endpoint `knn` as a host leaves it, without a host."""
    endpoint = Endpoint.objects.get(name="knn")
    endpoint.status, endpoint.live = EndpointStatus.IN_SERVICE, endpoint.wanted
    endpoint.save()
    return endpoint


def test_every_row_leads_to_its_neighbours_while_endpoint_and_data_are_there(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    version = in_service.project.datasets.get(name="knn-test").latest
    evaluation_made(alice_at_street, "measured", endpoint=in_service, dataset_version=version)
    page = html.unescape(
        page_of(alice_at_street, "evaluation-detail", {"tab": "rows", "k": "2"}, name="measured")
    )
    address = alice_at_street.url("endpoint-neighbours", name="knn")
    assert f'href="{address}?dataset=knn-test@1&variant=AllTraffic&row=7&k=2"' in page
    Evaluation.objects.update(endpoint=None)
    page = page_of(alice_at_street, "evaluation-detail", {"tab": "rows"}, name="measured")
    assert address not in page and "(deleted)" in page


def test_a_failure_says_the_cause_and_what_to_do(alice_at_street: Visitor, in_service: Endpoint) -> None:
    alice = alice_at_street
    failure = said("The endpoint answered {status}: {message}", status=400, message="<row 17>")
    evaluation_made(alice, "failed", status=EvaluationStatus.FAILED, endpoint=in_service, failure=failure)
    page = page_of(alice, "evaluation-detail", name="failed")
    assert "The endpoint answered 400: &lt;row 17&gt;" in page
    assert f"{alice.url('evaluation-new')}?repeat=failed" in page
    assert f"{alice.url('endpoint-detail', name='knn')}?tab=logs" in page
    Evaluation.objects.update(endpoint=None)
    assert "Deploy its model again" in page_of(alice, "evaluation-detail", name="failed")
    evaluation_made(alice, "stopped", status=EvaluationStatus.STOPPED)
    assert "It was stopped before it was done" in page_of(alice, "evaluation-detail", name="stopped")


FORM = {
    "name": "next",
    "endpoint": "knn",
    "dataset": "knn-test",
    "k_max": "",
    "batches": "10",
    "single_requests": "0",
}


def test_an_evaluation_is_asked_for_and_its_page_is_next(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    alice = alice_at_street
    response = alice.post("evaluation-new", FORM | {"batches": "１０", "k_max": "１"})
    assert response["Location"] == alice.url("evaluation-detail", name="next")
    found = Evaluation.objects.get()
    assert (found.batches, found.k_max, found.single_requests) == (10, 1, 0)
    assert (found.endpoint_name, found.dataset_reference) == ("knn", "knn-test@1")
    unnamed = alice.post("evaluation-new", FORM | {"name": ""})
    assert "/evaluations/knn-" in unnamed["Location"]


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("name", "no spaces", 400),
        ("endpoint", "", 400),
        ("endpoint", "nothing", 400),
        ("dataset", "", 400),
        ("dataset", "nothing", 400),
        ("k_max", "2", 400),
        ("k_max", "many", 400),
        ("batches", "0", 400),
        ("batches", "some", 400),
        ("single_requests", "-1", 400),
    ],
)
def test_a_wrong_value_is_named_beside_its_field_and_the_rest_is_kept(
    alice_at_street: Visitor, in_service: Endpoint, name: str, value: str, status: int
) -> None:
    response = alice_at_street.post("evaluation-new", FORM | {"batches": "11"} | {name: value})
    assert response.status_code == status
    page = html.unescape(response.content.decode())
    assert error_beside(page, name)
    if name != "batches":
        assert 'value="11"' in page
    assert not Evaluation.objects.exists()


def test_a_name_that_is_taken_and_an_endpoint_that_does_not_answer_are_said_at_their_fields(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    alice = alice_at_street
    evaluation_made(alice, "next")
    response = alice.post("evaluation-new", FORM)
    assert response.status_code == 409
    assert "already exists" in error_beside(html.unescape(response.content.decode()), "name")
    Endpoint.objects.update(status=EndpointStatus.DELETING)
    response = alice.post("evaluation-new", FORM | {"name": "other"})
    assert response.status_code == 409
    assert "Deleting" in error_beside(html.unescape(response.content.decode()), "endpoint")


def test_the_form_knows_what_fits_the_chosen_endpoint(alice_at_street: Visitor, in_service: Endpoint) -> None:
    dataset_create_from_sample(actor=alice_at_street.actor, name="wine", sample="wine")
    page = html.unescape(page_of(alice_at_street, "evaluation-new", {"endpoint": "knn"}))
    assert re.search(r'<option value="wine" disabled>.*13 features, not 4', page)
    assert '<option value="knn" selected>' in page and "the model's own, 1" in page
    assert re.search(r'name="name" value="knn-\d{4}-', page)
    own = page_of(alice_at_street, "evaluation-new", {"endpoint": "knn", "name": "mine"})
    assert 'name="name" value="mine"' in own
    made = {"endpoint": "knn", "name": "other-2026-11-30-10-48-10-cac0"}
    assert re.search(r'name="name" value="knn-\d{4}-', page_of(alice_at_street, "evaluation-new", made))
    Endpoint.objects.update(status=EndpointStatus.FAILED)
    page = page_of(alice_at_street, "evaluation-new")
    assert '<option value="knn" disabled>' in page and "No endpoint is InService now" in page


def test_the_call_by_rest_is_the_evaluation_that_the_form_would_make(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    form = FORM | {"name": "by-rest", "intent": "preview"}
    response = alice_at_street.post("evaluation-new", form, htmx=True)
    command = re.search(r"<code[^>]*>(.*)</code>", html.unescape(response.content.decode()), re.S)
    assert command and not Evaluation.objects.exists()
    words = shlex.split(command.group(1).replace("\\\n", " "))
    body = words[words.index("-d") + 1]
    answer = alice_at_street.client.post(words[3], body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert Evaluation.objects.get().batches == 10


def test_run_again_fills_the_form_with_what_was_measured(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    version = in_service.project.datasets.get(name="knn-test").latest
    made = {"endpoint": in_service, "dataset_version": version, "k_max": 7, "batches": 33}
    evaluation_made(alice_at_street, "old", **made)
    page = page_of(alice_at_street, "evaluation-new", {"repeat": "old"})
    assert '<option value="knn-test@1" selected>' in page and '<option value="knn" selected>' in page
    assert 'value="33"' in page and 'value="7"' in page
    assert alice_at_street.get("evaluation-new", {"repeat": "nothing"}).status_code == 404


def test_the_endpoint_and_the_job_lead_to_their_evaluations(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    alice = alice_at_street
    bob = visitor("bob", Project.objects.get(name="alpha"), Role.VIEWER)
    for n in range(6):
        evaluation_made(alice, f"of-knn-{n}", endpoint=in_service, training_job_name="knn")
    page = page_of(alice, "endpoint-detail", name="knn")
    assert f"{alice.url('evaluation-new')}?endpoint=knn" in page
    assert page.count("/evaluations/of-knn-") == 5 and f"{alice.url('evaluation-list')}?endpoint=knn" in page
    assert alice.url("endpoint-neighbours", name="knn") in page
    assert "Evaluate" not in page_of(bob, "endpoint-detail", name="knn")
    assert "/evaluations/of-knn-5/" in page_of(bob, "training-job-detail", name="knn")
    Evaluation.objects.all().delete()
    assert "No evaluation yet" in page_of(alice, "endpoint-detail", name="knn")
