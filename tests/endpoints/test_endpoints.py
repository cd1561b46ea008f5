"""What may be asked of an endpoint, by whom, and what is written down for the hosts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from endpoints.models import Endpoint, EndpointConfig, EndpointMetric, Model, Replica
from endpoints.selectors.endpoints import (
    endpoint_counts,
    endpoint_get,
    endpoint_list,
    endpoint_snippets,
    endpoint_waiting_reason,
)
from endpoints.services.endpoints import (
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_update,
    endpoint_update_weights,
    variant_requests,
)
from endpoints.services.models import model_create, model_delete
from endpoints.services.replicas import (
    replica_claim,
    replica_crashed,
    replica_ready,
    replica_release,
    replica_started,
    replica_sweep,
)
from endpoints.services.rollout import rollout_step, rollout_steps
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, LimitExceeded, NotFound
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.revisions import revision_value
from tests.interleaving import before_the_first_transaction

IRIS = VariantRequest(model="iris-knn")


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    return endpoint_create(actor=alice, name="iris", variants=[IRIS])


def _host_serves(*, host: str = "one") -> None:
    """Plays a host: claims what waits and says that it answers."""
    for replica in replica_claim(host=host):
        assert replica_started(replica_id=replica.pk, host=host, pid=1)
        assert replica_ready(replica_id=replica.pk, host=host, address=f"unix:/tmp/{replica.uid}")
    while rollout_steps():
        pass


def test_creating_asks_for_replicas_and_tells_hosts_and_gateways(alice: Actor, iris_model: Model) -> None:
    before = revision_value()
    endpoint = endpoint_create(
        actor=alice, name="iris", variants=[VariantRequest(model="iris-knn", instance_count=3)]
    )
    assert endpoint.status == "Creating"
    assert [(r.index, r.status, r.host) for r in endpoint.replicas.all()] == [
        (i, "Pending", "") for i in range(3)
    ]
    assert revision_value() > before


@pytest.mark.parametrize(
    ("variant", "field"),
    [
        ({"model": "nope"}, "variants.0.model"),
        ({"model": "iris-knn", "name": "a b"}, "variants.0.name"),
        ({"model": "iris-knn", "instance_type": "ml.huge"}, "variants.0.instance_type"),
        ({"model": "iris-knn", "instance_count": 0}, "variants.0.instance_count"),
        ({"model": "iris-knn", "weight": -1.0}, "variants.0.weight"),
        ({"model": "iris-knn", "weight": float("nan")}, "variants.0.weight"),
        ({"model": "iris-knn", "weight": 0.0}, "variants"),
    ],
)
def test_a_wrong_variant_is_named_and_nothing_is_left(
    alice: Actor, iris_model: Model, variant: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        endpoint_create(actor=alice, name="iris", variants=[VariantRequest(**variant)])
    assert [error.field for error in refused.value.errors] == [field]
    assert not Endpoint.objects.exists() and not EndpointConfig.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["create", "update"])
def test_a_model_deleted_just_before_the_transaction_is_named(
    alice: Actor, iris_model: Model, change: str
) -> None:
    model_create(actor=alice, name="second", training_job="iris-knn")
    wanted = [VariantRequest(model="second")]
    if change == "update":
        endpoint_create(actor=alice, name="iris", variants=[IRIS])
        _host_serves()
    with (
        before_the_first_transaction(lambda: model_delete(actor=alice, name="second")),
        pytest.raises(InvalidRequest, match="there is no model “second”") as refused,
    ):
        if change == "update":
            endpoint_update(actor=alice, name="iris", variants=wanted)
        else:
            endpoint_create(actor=alice, name="iris", variants=wanted)
    assert [error.field for error in refused.value.errors] == ["variants.0.model"]
    assert EndpointConfig.objects.count() == (change == "update")


def test_variants_need_different_names(alice: Actor, iris_model: Model) -> None:
    with pytest.raises(InvalidRequest, match="given twice"):
        endpoint_create(actor=alice, name="iris", variants=[IRIS, IRIS])
    with pytest.raises(InvalidRequest, match="give 1 to 10"):
        endpoint_create(actor=alice, name="iris", variants=[])


@pytest.mark.parametrize("n_features", [3, None])
def test_models_of_other_widths_cannot_share_an_endpoint(
    alice: Actor, endpoint: Endpoint, iris_model: Model, n_features: int | None
) -> None:
    Model.objects.create(
        project=alice.project,
        name="narrow",
        uid="narrow",
        algorithm="knn",
        artifact_uri=iris_model.artifact_uri,
        artifact_bytes=iris_model.artifact_bytes,
        manifest=iris_model.manifest | {"n_features": n_features},
        created_by=alice.user,
        created_at=clock.now(),
    )
    variants = [IRIS, VariantRequest(model="narrow", name="other")]
    if n_features is None:
        assert endpoint_create(actor=alice, name="mixed", variants=variants)
        return
    with pytest.raises(InvalidRequest, match="“narrow” takes 3 features and “iris-knn” takes 4") as refused:
        endpoint_create(actor=alice, name="mixed", variants=variants)
    assert [error.field for error in refused.value.errors] == ["variants.1.model"]
    Endpoint.objects.filter(pk=endpoint.pk).update(status="InService")
    with pytest.raises(InvalidRequest, match="takes 3 features"):
        endpoint_update(actor=alice, name="iris", variants=variants)


def test_a_limit_is_refused_with_its_numbers(alice: Actor, iris_model: Model) -> None:
    many = VariantRequest(model="iris-knn", instance_type="ml.p3.2xlarge", instance_count=3)
    endpoint_create(actor=alice, name="one", variants=[many])
    with pytest.raises(LimitExceeded, match=r"4 instances of ml\.p3\.2xlarge .* 3 do and 3 more"):
        endpoint_create(actor=alice, name="two", variants=[many])
    assert Endpoint.objects.count() == 1


def test_a_taken_name_is_a_conflict(alice: Actor, endpoint: Endpoint) -> None:
    with pytest.raises(Conflict, match="already exists"):
        endpoint_create(actor=alice, name="iris", variants=[IRIS])


def test_an_endpoint_that_is_being_created_cannot_be_updated(alice: Actor, endpoint: Endpoint) -> None:
    with pytest.raises(Conflict, match="Creating"):
        endpoint_update(actor=alice, name="iris", variants=[IRIS])


def test_a_viewer_reads_and_changes_nothing(alice: Actor, bob: Actor, endpoint: Endpoint) -> None:
    assert endpoint_get(actor=bob, name="iris") == endpoint
    for change in (
        lambda: endpoint_create(actor=bob, name="x", variants=[IRIS]),
        lambda: endpoint_update(actor=bob, name="iris", variants=[IRIS]),
        lambda: endpoint_update_weights(actor=bob, name="iris", weights={"AllTraffic": 2.0}),
        lambda: endpoint_delete(actor=bob, name="iris"),
    ):
        with pytest.raises(AccessDenied):
            change()


def test_a_stranger_finds_nothing(charlie: Actor, endpoint: Endpoint) -> None:
    for call in (
        lambda: endpoint_get(actor=charlie, name="iris"),
        lambda: endpoint_update(actor=charlie, name="iris", variants=[]),
        lambda: endpoint_delete(actor=charlie, name="iris"),
    ):
        with pytest.raises((NotFound, InvalidRequest)):
            call()
    assert endpoint_list(actor=charlie).count == 0
    assert set(endpoint_counts(actor=charlie).values()) == {0}
    assert Endpoint.objects.filter(pk=endpoint.pk, status="Creating").exists()


def test_weights_hold_at_once_and_start_no_replica(alice: Actor, endpoint: Endpoint) -> None:
    _host_serves()
    before = revision_value()
    updated = endpoint_update_weights(actor=alice, name="iris", weights={"AllTraffic": 7.0})
    assert (updated.status, updated.wanted_id) == ("InService", updated.live_id)
    assert variant_requests(updated.wanted)[0].weight == 7.0
    assert Replica.objects.count() == 1
    assert revision_value() > before
    with pytest.raises(InvalidRequest, match="all weights are 0"):
        endpoint_update_weights(actor=alice, name="iris", weights={"AllTraffic": 0.0})
    with pytest.raises(InvalidRequest, match="it has AllTraffic"):
        endpoint_update_weights(actor=alice, name="iris", weights={"Other": 1.0})


def test_more_and_fewer_instances_keep_what_runs(alice: Actor, endpoint: Endpoint) -> None:
    _host_serves()
    first = endpoint.replicas.get()
    assert endpoint_update_weights(actor=alice, name="iris", counts={"AllTraffic": 2}).status == "Updating"
    _host_serves()
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.replicas.filter(status="InService").count()) == ("InService", 2)
    endpoint_update_weights(actor=alice, name="iris", counts={"AllTraffic": 1})
    _host_serves()
    assert endpoint.replicas.get(status="InService") == first
    assert endpoint.replicas.get(status="Draining") != first


def test_deleting_what_has_no_process_removes_it_at_once(alice: Actor, endpoint: Endpoint) -> None:
    EndpointMetric.objects.create(endpoint=endpoint, variant="AllTraffic", minute_at=clock.now())
    endpoint_delete(actor=alice, name="iris")
    for rows in (Endpoint, EndpointConfig, Replica, EndpointMetric):
        assert not rows.objects.exists()


def test_deleting_waits_for_the_host(alice: Actor, endpoint: Endpoint) -> None:
    _host_serves()
    endpoint_delete(actor=alice, name="iris")
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.replicas.get().status) == ("Deleting", "Draining")
    replica_release(host="one")
    rollout_step(endpoint_id=endpoint.pk)
    assert not Endpoint.objects.exists()


def test_two_hosts_never_get_the_same_replica(alice: Actor, endpoint: Endpoint) -> None:
    assert len(replica_claim(host="one")) == 1
    assert replica_claim(host="two") == []


def test_a_host_that_lost_its_lease_can_write_nothing_any_more(
    alice: Actor, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = replica_claim(host="one")[0]
    now = clock.now()
    monkeypatch.setattr(
        clock, "now", lambda: now + (endpoint.created_at - endpoint.created_at.replace(year=2000))
    )
    assert replica_sweep() == 1
    assert replica_claim(host="two")[0].pk == replica.pk
    assert not replica_ready(replica_id=replica.pk, host="one", address="unix:/tmp/x")
    assert not replica_crashed(replica_id=replica.pk, host="one")
    assert Replica.objects.get().host == "two"
    assert Replica.objects.get().restarts == 1


def test_a_page_says_when_no_host_runs(alice: Actor, endpoint: Endpoint) -> None:
    assert "No host" in (endpoint_waiting_reason(endpoint=endpoint) or "")
    node_beat(kind=NodeKind.HOST, name="one", started_at=clock.now(), queues=["gpu"])
    reason = endpoint_waiting_reason(endpoint=endpoint) or ""
    assert "No host serves the queue “cpu”, which local.cpu needs" in reason
    assert reason.endswith(".venv/bin/python manage.py host --queues cpu")
    node_beat(kind=NodeKind.HOST, name="one", started_at=clock.now(), queues=["cpu"])
    assert endpoint_waiting_reason(endpoint=endpoint) is None


def test_a_host_takes_replicas_of_the_queues_it_serves_only(
    alice: Actor, endpoint: Endpoint, iris_model: Model
) -> None:
    on_gpu = VariantRequest(model=iris_model.name, instance_type="ml.p2.xlarge")
    endpoint_create(actor=alice, name="fast", variants=[on_gpu])
    assert [taken.endpoint.name for taken in replica_claim(host="a", queues=["cpu"])] == ["iris"]
    assert replica_claim(host="a", queues=["cpu"]) == []
    assert [taken.endpoint.name for taken in replica_claim(host="b", queues=["cpu", "gpu"])] == ["fast"]


@pytest.mark.parametrize(("host_began_s", "status"), [(1, "InService"), (60, "Failed")])
def test_an_endpoint_fails_for_the_time_hosts_had_to_start_it_and_not_for_the_night_before(
    endpoint: Endpoint, host_began_s: int, status: str
) -> None:
    _host_serves()
    replica_release(host="one")
    Replica.objects.update(ended_at=clock.now() - timedelta(hours=8))
    node_beat(kind=NodeKind.HOST, name="one", started_at=clock.now() - timedelta(seconds=host_began_s))
    while rollout_steps():
        pass
    endpoint.refresh_from_db()
    assert endpoint.status == status


def test_snippets_name_the_address_and_no_secret(alice: Actor, endpoint: Endpoint) -> None:
    snippets = endpoint_snippets(endpoint=endpoint, base_url="http://localhost:8000/")
    assert "http://localhost:8000/api/v1/projects/flowers/endpoints/iris/invocations" in snippets["curl"]
    assert "$TOKEN" in snippets["curl"] and "0,0,0,0" in snippets["curl"]
    compile(snippets["python"], "snippet", "exec")
    compile(snippets["boto3"], "snippet", "exec")


def test_lists_take_the_same_number_of_queries_for_any_number_of_endpoints(
    alice: Actor, iris_model: Model, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        endpoint_create(actor=alice, name=f"iris-{number}", variants=[IRIS])
    with django_assert_max_num_queries(5):
        page = endpoint_list(actor=alice, order="name")
        assert [variant.model.name for e in page.items for variant in e.wanted.variants.all()] == [
            "iris-knn"
        ] * 6
