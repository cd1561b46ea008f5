"""Deploying a job from its page: one form makes what is missing, and what is refused leaves nothing behind."""

from __future__ import annotations

import pytest

from endpoints.models import Endpoint, EndpointConfig, Model
from mlplatform.core.models import Role
from tests.web.conftest import Visitor, visitor
from tests.web.reading import error_beside, text_of


@pytest.fixture
def no_model(alice_at_street: Visitor) -> Visitor:
    """The street before anything of it is deployed."""
    Endpoint.objects.all().delete()
    EndpointConfig.objects.all().delete()
    Model.objects.all().delete()
    return alice_at_street


def test_the_button_of_a_completed_job_opens_the_form_in_a_dialog(alice_at_street: Visitor) -> None:
    url = alice_at_street.url("training-job-deploy", name="knn")
    assert f'data-dialog href="{url}"' in text_of(alice_at_street.get("training-job-detail", name="knn"))
    fragment = text_of(alice_at_street.get("training-job-deploy", htmx=True, name="knn"))
    assert "<html" not in fragment and 'value="knn-2"' in fragment
    assert "<html" in text_of(alice_at_street.get("training-job-deploy", name="knn"))


def test_one_form_makes_the_model_and_the_endpoint(no_model: Visitor) -> None:
    response = no_model.post(
        "training-job-deploy", {"name": "live", "variant.instance_type": "local.cpu"}, name="knn"
    )
    assert response["Location"] == no_model.url("endpoint-detail", name="live")
    variant = Endpoint.objects.get(name="live").wanted.variants.get()
    assert (variant.model.name, variant.model.training_job.name) == ("knn", "knn")


def test_a_model_of_the_job_is_used_again(alice_at_street: Visitor) -> None:
    alice_at_street.post(
        "training-job-deploy", {"name": "live", "variant.instance_type": "local.cpu"}, name="knn"
    )
    assert [model.name for model in Model.objects.all()] == ["knn"]
    assert Endpoint.objects.get(name="live").wanted.variants.get().model.name == "knn"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "-", "variant.instance_type": "local.cpu"}, "name"),
        ({"name": "live", "variant.instance_type": "ml.none"}, "variant.instance_type"),
        (
            {"name": "live", "variant.capacity": "serverless", "variant.memory_mb": "1500"},
            "variant.memory_mb",
        ),
    ],
)
def test_a_refusal_stands_at_its_field_and_leaves_no_model(
    no_model: Visitor, values: dict[str, str], field: str
) -> None:
    response = no_model.post("training-job-deploy", values, name="knn")
    assert response.status_code == 400
    assert error_beside(text_of(response), field)
    assert not Model.objects.exists() and not Endpoint.objects.exists()


def test_a_name_that_is_taken_is_refused_at_the_name_and_the_model_made_goes_again(
    alice_at_street: Visitor,
) -> None:
    Model.objects.filter(name="knn").update(training_job=None)
    response = alice_at_street.post(
        "training-job-deploy", {"name": "knn", "variant.instance_type": "local.cpu"}, name="knn"
    )
    assert response.status_code == 409
    assert "already exists" in error_beside(text_of(response), "name")
    assert [model.name for model in Model.objects.all()] == ["knn"]


def test_one_form_makes_a_serverless_endpoint_and_leads_to_the_whole_form(alice_at_street: Visitor) -> None:
    form = text_of(alice_at_street.get("training-job-deploy", htmx=True, name="knn"))
    assert f'href="{alice_at_street.url("endpoint-new")}?model=knn"' in form
    assert 'name="variant.max_concurrency"' in form and 'name="variant.model"' not in form
    serverless = {
        "variant.capacity": "serverless",
        "variant.memory_mb": "2048",
        "variant.max_concurrency": "3",
        "variant.idle_after_s": "60",
    }
    alice_at_street.post("training-job-deploy", {"name": "live", **serverless}, name="knn")
    variant = Endpoint.objects.get(name="live").wanted.variants.get()
    assert (variant.model.name, variant.instance_type) == ("knn", "")
    assert (variant.serverless_memory_mb, variant.serverless_max_concurrency) == (2048, 3)
    assert variant.idle_after_s == 60


def test_a_viewer_cannot_deploy(alice_at_street: Visitor) -> None:
    bob = visitor("bob", alice_at_street.project, Role.VIEWER)
    assert bob.get("training-job-deploy", name="knn").status_code == 403
    assert bob.post("training-job-deploy", {"name": "live"}, name="knn").status_code == 403
