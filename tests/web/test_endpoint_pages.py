"""Pages of models and endpoints: what they show, what their forms refuse and keep, who may do what."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from endpoints.models import Endpoint, EndpointMetric, Model, ProductionVariant, Replica
from jobs.services.datasets import dataset_create_from_sample
from mlplatform.core import clock
from mlplatform.core.models import Project, Role
from mlplatform.core.status import EndpointStatus
from tests.web.conftest import Visitor, visitor
from tests.web.reading import error_beside, text_of

ROW = {
    "variant.name": "AllTraffic",
    "variant.model": "knn",
    "variant.instance_type": "local.cpu",
    "variant.instance_count": "1",
    "variant.weight": "1",
}


@pytest.fixture
def bob_at_street(alice_at_street: Visitor) -> Visitor:
    return visitor("bob", alice_at_street.project, Role.VIEWER)


@pytest.fixture
def stranger(alice_at_street: Visitor) -> Visitor:
    project = Project.objects.create(name="gamma", account_id="123456789012")
    return visitor("charlie", project, Role.ADMIN)


@pytest.fixture
def in_service(alice_at_street: Visitor) -> Endpoint:
    """The endpoint as a host leaves it, without a host."""
    endpoint = Endpoint.objects.get(name="knn")
    endpoint.status, endpoint.live = EndpointStatus.IN_SERVICE, endpoint.wanted
    endpoint.save()
    return endpoint


# Models


def test_a_model_shows_where_it_comes_from_and_where_it_is_deployed(alice_at_street: Visitor) -> None:
    page = text_of(alice_at_street.get("model-detail", name="knn"))
    assert alice_at_street.url("training-job-detail", name="knn") in page
    assert alice_at_street.url("endpoint-detail", name="knn") in page
    assert "virginica" in page
    assert Model.objects.get(name="knn").artifact_sha256 in page


def test_a_model_is_made_from_a_job_and_goes_on_to_its_endpoint(alice_at_street: Visitor) -> None:
    form = {"name": "ｓｅｃｏｎｄ", "training_job": "knn", "next": "endpoint"}
    response = alice_at_street.post("model-new", form)
    assert response["Location"] == alice_at_street.url("endpoint-new") + "?model=second"
    page = text_of(alice_at_street.client.get(response["Location"]))
    assert '<option value="second" selected>' in page


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("name", "a b", 400), ("name", "knn", 409), ("training_job", "", 400), ("training_job", "missing", 400)],
)
def test_a_wrong_value_of_a_model_is_named_beside_its_field(
    alice_at_street: Visitor, name: str, value: str, status: int
) -> None:
    form = {"name": "second", "training_job": "knn", "description": "kept", name: value}
    response = alice_at_street.post("model-new", form)
    assert response.status_code == status
    page = text_of(response)
    assert error_beside(page, name)
    assert "kept" in page
    assert Model.objects.count() == 1


def test_a_model_in_use_is_not_deleted_and_the_endpoint_is_named(alice_at_street: Visitor) -> None:
    asked = text_of(alice_at_street.get("model-delete", htmx=True, name="knn"))
    assert "Deployed at knn" in asked and 'type="submit"' not in asked
    response = alice_at_street.post("model-delete", name="knn")
    assert response.status_code == 409
    assert "is used by endpoint knn" in text_of(response)
    assert "Close" in text_of(response)
    assert Model.objects.filter(name="knn").exists()


# Endpoint forms


def test_an_endpoint_is_created_with_its_variants(alice_at_street: Visitor) -> None:
    rows = {
        **ROW,
        "variant.name": ["A", "B"],
        "variant.model": ["knn", "knn"],
        "variant.instance_type": ["local.cpu", "ml.m5.large"],
        "variant.instance_count": ["１", "2"],
        "variant.weight": ["0.5", "１．５"],
    }
    response = alice_at_street.post("endpoint-new", {"name": "both", "description": "", **rows})
    assert response["Location"] == alice_at_street.url("endpoint-detail", name="both")
    variants = ProductionVariant.objects.filter(config=Endpoint.objects.get(name="both").wanted).order_by(
        "pk"
    )
    assert [(one.name, one.instance_type, one.instance_count, one.weight) for one in variants] == [
        ("A", "local.cpu", 1, 0.5),
        ("B", "ml.m5.large", 2, 1.5),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "no spaces"),
        ("variant.name", "a/b"),
        ("variant.model", "missing"),
        ("variant.instance_type", "ml.huge"),
        ("variant.instance_count", "two"),
        ("variant.instance_count", "0"),
        ("variant.weight", "-1"),
        ("variant.weight", "nan"),
        ("variant.weight", "heavy"),
    ],
)
def test_a_wrong_value_of_an_endpoint_is_named_beside_its_field(
    alice_at_street: Visitor, name: str, value: str
) -> None:
    response = alice_at_street.post("endpoint-new", {"name": "next", **ROW, name: value})
    assert response.status_code == 400
    page = text_of(response)
    assert error_beside(page, name)
    assert "field needs another value" in page
    assert not Endpoint.objects.filter(name__in=["next", value]).exists()


def test_a_name_that_is_taken_is_refused_at_its_field(alice_at_street: Visitor) -> None:
    response = alice_at_street.post("endpoint-new", {"name": "knn", **ROW})
    assert response.status_code == 409
    assert "knn" in error_beside(text_of(response), "name")


def test_the_call_by_rest_is_the_endpoint_that_the_form_would_create(alice_at_street: Visitor) -> None:
    form = {"name": "by-rest", "description": "it's new", **ROW}
    response = alice_at_street.post("endpoint-new", form | {"intent": "preview"}, htmx=True)
    command = re.search(r"<code[^>]*>(.*)</code>", text_of(response), re.S)
    assert command
    words = shlex.split(command.group(1).replace("\\\n", " "))
    body = words[words.index("-d") + 1]
    assert json.loads(body)["variants"][0]["instance_count"] == 1
    answer = alice_at_street.client.post(words[3], body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert Endpoint.objects.get(name="by-rest").description == "it's new"


def test_the_form_of_an_update_is_filled_with_what_runs(
    in_service: Endpoint, alice_at_street: Visitor
) -> None:
    page = text_of(alice_at_street.get("endpoint-edit", name="knn"))
    assert 'value="AllTraffic"' in page
    assert '<option value="knn" selected>' in page
    response = alice_at_street.post("endpoint-edit", ROW | {"variant.instance_count": "2"}, name="knn")
    assert response.status_code == 302
    in_service.refresh_from_db()
    assert in_service.status == EndpointStatus.UPDATING
    assert in_service.wanted_id != in_service.live_id


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"variant.weight": "much"}, "'much' is not a number"),
        ({"variant.weight": "0"}, "weight"),
        ({"variant.instance_count": "0"}, "instance_count"),
    ],
)
def test_wrong_weights_are_refused_on_the_endpoints_page(
    in_service: Endpoint, alice_at_street: Visitor, change: dict[str, str], says: str
) -> None:
    client = alice_at_street.client
    response = client.post(alice_at_street.url("endpoint-weights", name="knn"), ROW | change, follow=True)
    assert response.status_code == 200
    message = text_of(response).split('id="messages"')[1].split("page-head")[0]
    assert 'class="message error"' in message and says in message


def test_an_endpoint_is_deleted_after_its_name_is_asked_for(alice_at_street: Visitor) -> None:
    question = text_of(alice_at_street.get("endpoint-delete", name="knn"))
    assert 'data-confirms="knn"' in question
    refused = alice_at_street.post("endpoint-delete", {"typed": "kn"}, name="knn")
    assert refused.status_code == 400 and 'id="typed-error"' in text_of(refused)
    assert Endpoint.objects.exclude(status=EndpointStatus.DELETING).filter(name="knn").exists()
    assert alice_at_street.post("endpoint-delete", {"typed": "ｋｎｎ"}, name="knn").status_code == 302
    assert not Endpoint.objects.exclude(status=EndpointStatus.DELETING).filter(name="knn").exists()


# The endpoint's page


@pytest.mark.parametrize("tab", ["overview", "try", "logs", "api", "nonsense"])
def test_every_tab_answers_before_a_model_server_runs(alice_at_street: Visitor, tab: str) -> None:
    assert alice_at_street.get("endpoint-detail", {"tab": tab}, name="knn").status_code == 200


def test_the_try_it_panel_is_prefilled_with_a_row_of_the_training_data(alice_at_street: Visitor) -> None:
    page = text_of(alice_at_street.get("endpoint-detail", {"tab": "try"}, name="knn"))
    assert re.search(r'<textarea[^>]*name="body"[^>]*>[\d.]+,[\d.]+,[\d.]+,[\d.]+</textarea>', page)


def test_an_invocation_that_nobody_answers_is_told_in_words(alice_at_street: Visitor) -> None:
    form = {"body": "1,2,3,4", "content_type": "text/csv", "accept": "application/json"}
    page = text_of(alice_at_street.post("endpoint-invoke", form, htmx=True, name="knn"))
    assert 'role="alert"' in page
    assert re.search(r"HTTP (409|503)", page)


def test_a_failed_endpoint_shows_the_model_servers_own_words(alice_at_street: Visitor) -> None:
    lines = ["Traceback (most recent call last):", "\x1b[31mFileNotFoundError\x1b[0m: model_algo-1"]
    failure = {"reason": "The model server ended with exit code 1", "detail": "", "log_tail": lines}
    Endpoint.objects.filter(name="knn").update(status=EndpointStatus.FAILED, failure=failure)
    page = text_of(alice_at_street.get("endpoint-detail", name="knn"))
    assert "The endpoint failed" in page
    assert "The model server ended with exit code 1" in page
    assert "<code>FileNotFoundError: model_algo-1</code>" in page
    listed = text_of(alice_at_street.get("endpoint-list"))
    assert "The model server ended with exit code 1" in listed


def test_a_poll_brings_the_variants_only_when_they_have_changed(
    in_service: Endpoint, alice_at_street: Visitor
) -> None:
    page = text_of(alice_at_street.get("endpoint-detail", name="knn"))
    seen = re.search(r"seen=([0-9a-f]+)", page)
    assert seen
    headers = {"HX-Request": "true", "HX-Target": "endpoint-state"}
    url = alice_at_street.url("endpoint-detail", name="knn")
    same = text_of(alice_at_street.client.get(url, {"seen": seen.group(1)}, headers=headers))
    assert 'id="endpoint-tiles" hx-swap-oob' in same and "endpoint-variants" not in same
    Endpoint.objects.filter(name="knn").update(status=EndpointStatus.UPDATING)
    changed = text_of(alice_at_street.client.get(url, {"seen": seen.group(1)}, headers=headers))
    assert 'id="endpoint-variants" hx-swap-oob' in changed and "every 1s" in changed


def test_the_page_of_an_endpoint_that_is_gone_goes_to_the_list(alice_at_street: Visitor) -> None:
    Endpoint.objects.filter(name="knn").delete()
    headers = {"HX-Request": "true", "HX-Target": "endpoint-state"}
    response = alice_at_street.client.get(alice_at_street.url("endpoint-detail", name="knn"), headers=headers)
    assert response["HX-Redirect"] == alice_at_street.url("endpoint-list")
    assert alice_at_street.get("endpoint-detail", name="knn").status_code == 404


def test_the_traffic_of_an_endpoint_without_requests_is_a_figure_all_the_same(
    alice_at_street: Visitor,
) -> None:
    for chart in ("requests", "latency"):
        figure = alice_at_street.get("endpoint-traffic", {"chart": chart, "minutes": "９"}, name="knn").json()
        assert len(figure["data"][0]["x"]) >= 9


def test_a_dataset_that_is_not_there_is_named_on_the_table_form(
    in_service: Endpoint, alice_at_street: Visitor
) -> None:
    response = alice_at_street.post("endpoint-table", {"dataset": "missing"}, name="knn")
    assert response.status_code == 400
    assert "missing" in error_beside(text_of(response), "dataset")


def test_a_dataset_with_other_columns_cannot_be_chosen_and_says_why(
    in_service: Endpoint, alice_at_street: Visitor
) -> None:
    dataset_create_from_sample(actor=alice_at_street.actor, name="vines", sample="wine")
    page = text_of(alice_at_street.get("endpoint-table", name="knn"))
    assert re.search(r'<option value="vines" disabled>[^<]*13 features, not 4', page)
    assert re.search(r'<option value="knn-test">', page)


def test_the_list_shows_what_an_endpoint_serves(in_service: Endpoint, alice_at_street: Visitor) -> None:
    now = clock.now().replace(second=0, microsecond=0)
    EndpointMetric.objects.create(endpoint=in_service, variant="AllTraffic", minute_at=now, n_requests=4321)
    page = text_of(alice_at_street.get("endpoint-list"))
    assert "AllTraffic" in page and alice_at_street.url("model-detail", name="knn") in page
    assert '<td class="numeric">4,321</td>' in page


def test_a_row_of_zeros_is_not_said_to_be_a_real_one(in_service: Endpoint, alice_at_street: Visitor) -> None:
    page = text_of(alice_at_street.get("endpoint-detail", {"tab": "try"}, name="knn"))
    names = ", ".join(Model.objects.get(name="knn").manifest["feature_names"])
    assert "a real row" in page and names in page
    Model.objects.update(training_job=None)
    page = text_of(alice_at_street.get("endpoint-detail", {"tab": "try"}, name="knn"))
    assert "a real row" not in page and "Prefilled with zeros" in page


# Who may


def test_a_viewer_sees_an_endpoint_and_cannot_change_it(in_service: Endpoint, bob_at_street: Visitor) -> None:
    page = text_of(bob_at_street.get("endpoint-detail", name="knn"))
    for word in ("endpoint-edit", "endpoint-delete", "endpoint-table"):
        assert bob_at_street.url(word, name="knn") + '"' not in page
    assert "Apply weights" not in page
    for name in ("endpoint-edit", "endpoint-delete", "endpoint-weights", "endpoint-table", "model-delete"):
        assert bob_at_street.post(name, ROW, name="knn").status_code == 403, name
    for name in ("endpoint-edit", "endpoint-delete", "endpoint-table", "model-delete"):
        assert bob_at_street.get(name, name="knn").status_code == 403, name
    for name in ("endpoint-new", "model-new"):
        assert bob_at_street.get(name).status_code == 403
        assert bob_at_street.post(name, ROW | {"name": "x", "training_job": "knn"}).status_code == 403
    in_service.refresh_from_db()
    assert in_service.status == EndpointStatus.IN_SERVICE


GETS = (
    "model-detail",
    "model-delete",
    "endpoint-detail",
    "endpoint-edit",
    "endpoint-delete",
    "endpoint-traffic",
    "endpoint-table",
)


def test_what_belongs_to_another_project_is_as_unknown_as_nothing(
    alice_at_street: Visitor, stranger: Visitor
) -> None:
    client = stranger.client
    for name in GETS:
        assert client.get(alice_at_street.url(name, name="knn")).status_code == 404, name
        assert client.get(stranger.url(name, name="knn")).status_code == 404, name
    for name in ("endpoint-invoke", "endpoint-delete", "endpoint-edit", "endpoint-table"):
        assert client.post(alice_at_street.url(name, name="knn"), ROW).status_code == 404, name
    form = {"name": "stolen", "training_job": "knn"}
    assert stranger.post("model-new", form).status_code == 400
    assert stranger.post("endpoint-new", {"name": "stolen", **ROW}).status_code == 400
    assert not Endpoint.objects.filter(name="stolen").exists()


def test_the_log_of_a_replica_is_read_only_through_its_own_endpoint(
    in_service: Endpoint, alice_at_street: Visitor, stranger: Visitor
) -> None:
    from mlplatform.core import clock
    from mlplatform.core.log_lines import LogLines
    from mlplatform.core.logs import log_append, log_stream_create
    from mlplatform.core.names import uid_new

    log = log_stream_create()
    log_append(stream=log, lines=[LogLines.of("model loaded", 1_790_000_000_000)])
    variant = in_service.wanted.variants.get()
    uid = uid_new()
    Replica.objects.create(
        endpoint=in_service, variant=variant, uid=uid, index=0, log=log, created_at=clock.now()
    )
    answer = alice_at_street.get("replica-log", {"tail": 10}, name="knn", uid=uid)
    assert answer.json()["text"] == "model loaded\n"
    page = text_of(alice_at_street.get("endpoint-detail", {"tab": "logs"}, name="knn"))
    assert alice_at_street.url("replica-log", name="knn", uid=uid) in page
    assert stranger.client.get(alice_at_street.url("replica-log", name="knn", uid=uid)).status_code == 404
    assert alice_at_street.get("replica-log", name="knn", uid="unknown").status_code == 404
