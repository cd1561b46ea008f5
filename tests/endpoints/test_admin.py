"""The operations console: every page opens, nothing can be edited, actions go through services."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from endpoints.models import Endpoint, Evaluation, Model
from endpoints.services.endpoints import VariantRequest, endpoint_create
from mlplatform.core import clock
from mlplatform.core.people.access import Actor

KINDS = (
    "model",
    "endpointconfig",
    "productionvariant",
    "endpoint",
    "datacapture",
    "capturedfile",
    "replica",
    "tablerun",
    "evaluation",
    "experiment",
    "experimentcell",
)


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    return endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])


@pytest.mark.parametrize("kind", KINDS)
def test_lists_and_rows_can_be_read_and_not_changed(operator: Client, endpoint: Endpoint, kind: str) -> None:
    assert operator.get(reverse(f"admin:endpoints_{kind}_changelist")).status_code == 200
    assert operator.get(reverse(f"admin:endpoints_{kind}_add")).status_code == 403


def test_an_endpoint_s_page_shows_its_replicas_and_a_post_changes_nothing(
    operator: Client, endpoint: Endpoint
) -> None:
    url = reverse("admin:endpoints_endpoint_change", args=[endpoint.pk])
    page = operator.get(url)
    assert page.status_code == 200
    assert endpoint.replicas.get().uid in page.content.decode()
    assert operator.post(url, {"name": "other"}).status_code == 403


def test_values_of_environment_variables_are_not_shown(operator: Client, iris_model: Model) -> None:
    iris_model.environment = {"TOKEN": "hush-hush"}
    iris_model.save()
    page = operator.get(reverse("admin:endpoints_model_change", args=[iris_model.pk])).content.decode()
    assert "TOKEN" in page
    assert "hush-hush" not in page


def _act(client: Client, kind: str, action: str, pk: int) -> int:
    url = reverse(f"admin:endpoints_{kind}_changelist")
    return client.post(url, {"action": action, "_selected_action": [pk]}).status_code


def test_deleting_goes_through_the_service_which_may_refuse(
    operator: Client, endpoint: Endpoint, iris_model: Model
) -> None:
    assert _act(operator, "model", "delete_models", iris_model.pk) == 302
    assert Model.objects.filter(pk=iris_model.pk).exists(), "an endpoint uses it"
    assert _act(operator, "endpoint", "delete_endpoints", endpoint.pk) == 302
    assert not Endpoint.objects.exists()
    assert _act(operator, "model", "delete_models", iris_model.pk) == 302
    assert not Model.objects.exists()


def test_an_evaluation_is_shown_without_its_result_and_stopped_by_the_service(
    operator: Client, alice: Actor
) -> None:
    given = {"project": alice.project, "created_by": alice.user, "created_at": clock.now()}
    evaluation = Evaluation.objects.create(
        name="first", uid="a" * 26, endpoint_name="iris", result={"large": "hush-hush"}, **given
    )
    page = operator.get(reverse("admin:endpoints_evaluation_change", args=[evaluation.pk])).content.decode()
    assert "first" in page and "hush-hush" not in page
    assert operator.get(reverse("admin:endpoints_evaluation_changelist"), {"q": "iris"}).status_code == 200
    assert _act(operator, "evaluation", "stop_evaluations", evaluation.pk) == 302
    evaluation.refresh_from_db()
    assert evaluation.status == "Stopped"


def test_a_reader_of_the_console_cannot_act(endpoint: Endpoint) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__in=["view_endpoint", "view_model"]))
    client = Client()
    client.force_login(reader)
    assert client.get(reverse("admin:endpoints_endpoint_changelist")).status_code == 200
    _act(client, "endpoint", "delete_endpoints", endpoint.pk)
    assert Endpoint.objects.filter(pk=endpoint.pk, status="Creating").exists()
