"""What a request for an evaluation is refused for, and that nothing is left of it."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.models import Endpoint, EndpointConfig, Evaluation, Model, ProductionVariant
from endpoints.services.evaluations import evaluation_create
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest
from mlplatform.core.models import AuditEvent
from mlplatform.core.people.access import Actor
from tests.endpoints.evaluation_stage import *  # noqa: F403
from tests.endpoints.evaluation_stage import MakeDataset

pytestmark = pytest.mark.slow


def refused(actor: Actor, **request: Any) -> dict[str, str]:
    """The complaints by field."""
    given = {"name": "mine", "endpoint": "iris", "dataset": "iris-test", **request}
    with pytest.raises(InvalidRequest) as caught:
        evaluation_create(actor=actor, **given)
    assert not Evaluation.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="evaluation").exists()
    return {error.field: str(error.message) for error in caught.value.errors}


def model_knows(**facts: Any) -> None:
    """Changes what the model's manifest says."""
    model = Model.objects.get()
    Model.objects.update(manifest=model.manifest | facts)


def test_editors_may_and_in_their_own_project_only(
    alice: Actor, bob: Actor, charlie: Actor, silent_endpoint: Endpoint, iris_test: str
) -> None:
    with pytest.raises(AccessDenied):
        evaluation_create(actor=bob, name="mine", endpoint="iris", dataset=iris_test)
    assert set(refused(charlie)) == {"endpoint", "dataset"}


def test_everything_that_is_wrong_is_said_at_once(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str
) -> None:
    said = refused(
        alice,
        name="not a name",
        dataset="ghost",
        variant="B",
        batches=10_001,
        single_requests=-1,
        tags={"": "x"},
    )
    assert set(said) == {"name", "dataset", "variant", "batches", "single_requests", "tags."}
    assert said["batches"] == "10001 is not accepted; use whole numbers from 1 to 10,000"
    assert "it has AllTraffic" in said["variant"]
    assert set(refused(alice, endpoint="ghost", k_max=0, batches=True)) == {"endpoint", "k_max", "batches"}
    assert set(refused(alice, endpoint="", dataset="")) == {"endpoint", "dataset"}
    assert "dataset" in refused(alice, dataset="iris-test@" + 5000 * "9")


def test_another_number_of_columns_is_refused_with_both_numbers(
    alice: Actor, silent_endpoint: Endpoint, make_dataset: MakeDataset
) -> None:
    make_dataset("narrow", "a,b,species\n1,2,setosa\n3,4,virginica\n")
    said = refused(alice, dataset="narrow")
    assert said == {"dataset": "it has 2 feature columns; the model “iris-knn” expects 4"}


def test_labels_that_the_model_never_saw_are_refused_by_name(
    alice: Actor, silent_endpoint: Endpoint, make_dataset: MakeDataset
) -> None:
    make_dataset("lilies", "a,b,c,d,species\n1,2,3,4,setosa\n1,2,3,4,lily\n")
    assert "never saw: “lily”; the model knows “setosa”" in refused(alice, dataset="lilies")["dataset"]


def test_text_labels_for_a_model_of_numbers_and_numbers_out_of_range_are_refused(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str, make_dataset: MakeDataset
) -> None:
    make_dataset("numbers", "a,b,c,d,species\n1,2,3,4,1\n1,2,3,4,3\n")
    assert "numbers from 1 to 3" in refused(alice, dataset="numbers")["dataset"]
    model_knows(label_mapping=None, label_range=[1.0, 2.0])
    assert "those of the model are numbers" in refused(alice)["dataset"]
    assert (
        "they go from 1 to 3, those of the training data from 1 to 2"
        in refused(alice, dataset="numbers")["dataset"]
    )
    model_knows(label_range=[0.0, 7.0])
    assert evaluation_create(actor=alice, name="mine", endpoint="iris", dataset="numbers")


def test_more_neighbours_than_the_model_has(alice: Actor, silent_endpoint: Endpoint, iris_test: str) -> None:
    model_knows(hyperparameters={"k": "100"})
    with pytest.raises(InvalidRequest) as caught:
        evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test, k_max=200)
    assert str(caught.value) == "k_max: 200 exceeds the index's k 100; use 1 to 100, or train with a larger k"
    assert (
        evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test, k_max=100).k_max
        == 100
    )


def test_k_max_for_a_model_without_neighbours_and_for_one_of_which_nothing_is_known(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str
) -> None:
    Model.objects.update(training_job=None)
    made = evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test, k_max=7)
    assert (made.facts["k"], made.facts["index_type"], made.k_max) == (None, None, 7)
    Evaluation.objects.all().delete()
    AuditEvent.objects.all().delete()
    Model.objects.update(algorithm="other")
    assert refused(alice, k_max=7) == {"k_max": "other has no k; leave k_max out"}
    assert evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test).facts["k"] is None


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("Creating", "wait until it is InService"),
        ("Failed", "update it to a model that works"),
        ("Deleting", "choose another endpoint"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_a_conflict_with_its_remedy(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str, status: str, remedy: str
) -> None:
    Endpoint.objects.update(status=status)
    with pytest.raises(Conflict, match=f"is {status} and cannot be measured: {remedy}"):
        evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test)
    assert "batches" in refused(alice, batches=0), "what is wrong with the request comes first"


@pytest.mark.parametrize("status", ["Updating", "RollingBack"])
def test_an_endpoint_that_changes_is_measured_as_it_answers_now(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str, status: str
) -> None:
    Endpoint.objects.update(status=status)
    assert evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test)
    Endpoint.objects.update(live=None)
    with pytest.raises(Conflict, match="cannot be measured"):
        evaluation_create(actor=alice, name="other", endpoint="iris", dataset=iris_test)


def test_of_several_variants_one_is_chosen(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str, iris_model: Model
) -> None:
    config = EndpointConfig.objects.get()
    ProductionVariant.objects.create(
        config=config, name="B", model=iris_model, instance_type="ml.c5.xlarge", weight=0.0
    )
    assert "has the variants AllTraffic, B; choose the one" in refused(alice)["variant"]
    made = evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test, variant="B")
    assert (made.variant, made.instance_type) == ("B", "ml.c5.xlarge")
    assert (made.facts["price_per_hour"], made.facts["vcpus"]) == (0.204, 4)


def test_a_name_is_taken_once_and_made_where_none_is_given(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str
) -> None:
    evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test)
    with pytest.raises(
        Conflict, match="An evaluation named 'mine' already exists in project flowers"
    ) as caught:
        evaluation_create(actor=alice, name="mine", endpoint="iris", dataset=iris_test)
    assert [error.field for error in caught.value.errors] == ["name"]
    names = {
        evaluation_create(actor=alice, name=None, endpoint="iris", dataset=iris_test).name for _ in range(3)
    }
    assert len(names) == 3 and all(name.startswith("iris-20") for name in names)


def test_what_predicts_no_label_is_not_evaluated(
    alice: Actor, silent_endpoint: Endpoint, iris_test: str
) -> None:
    Model.objects.update(algorithm="kmeans")
    said = refused(alice)
    assert list(said) == ["endpoint"]
    assert said["endpoint"].startswith("kmeans predicts no label")
