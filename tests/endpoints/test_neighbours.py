"""The neighbours of a row: votes for every k, rows found again in the training data, and what cannot be asked for."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from numpy.testing import assert_allclose, assert_array_equal

from endpoints.models import Endpoint, Model
from endpoints.neighbours import columns_by_difference, difference, means_by_k, votes_by_k
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.models import model_create
from endpoints.services.neighbours import endpoint_neighbours
from jobs.algorithms.knn import votes
from jobs.models import TrainingInput
from jobs.selectors.dataset_rows import dataset_rows
from jobs.selectors.datasets import dataset_version_get
from jobs.services.datasets import dataset_create_from_sample, dataset_split
from jobs.services.execution import training_job_run
from jobs.services.training import ChannelRequest, training_job_create
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import Conflict, InvalidRequest, NotFound, ServiceUnavailable
from mlplatform.core.models import AuditEvent
from mlplatform.core.people.access import Actor
from tests.endpoints.conftest import HostDriver, PublicGateway

K = 15

# Votes


@pytest.mark.parametrize("n_labels", [1, 2, 7])
def test_the_vote_of_the_first_k_is_the_vote_of_a_model_with_that_k(n_labels: int) -> None:
    codes = np.random.default_rng(n_labels).integers(0, n_labels, 60).astype(np.float32)
    found = votes_by_k(codes.tolist(), true=0.0)
    assert [vote.k for vote in found] == list(range(1, 61))
    for vote in found:
        nearest = codes[: vote.k]
        assert vote.value == votes.majority(nearest[None, :])[0]
        assert vote.n_votes == Counter(nearest.tolist())[vote.value]
        assert vote.n_true == (nearest == 0).sum()


def test_of_labels_that_tie_the_smallest_wins_whichever_came_first() -> None:
    assert [vote.value for vote in votes_by_k([2, 1, 1, 2, 0, 0, 0])] == [2, 1, 1, 1, 1, 0, 0]
    assert votes_by_k([]) == []
    assert votes_by_k([3.0])[0].n_true is None


def test_the_mean_of_the_first_k_is_that_of_a_model_with_that_k() -> None:
    values = np.random.default_rng(0).normal(size=40).astype(np.float32)
    for vote in means_by_k(values.tolist()):
        assert_allclose(vote.value, votes.mean(values[None, : vote.k])[0], rtol=1e-6)
        assert vote.share is None


def test_columns_that_differ_come_first_by_how_much_of_the_distance_they_make() -> None:
    query = ["1", "5", "x", "0", ""]
    rows = [["1", "9", "y", "0", ""], ["1", "5", "x", "0.5", ""]]
    assert columns_by_difference(query, rows) == [(1, 1), (2, 1), (3, 1), (0, 0), (4, 0)]
    assert (difference("5.0", "5"), difference("a", "b"), difference("nan", "1")) == (0, 1, 1)
    assert difference("", "2") == 1


# Through an endpoint


@pytest.fixture
def inspected(alice: Actor, host: HostDriver, public_gateway: PublicGateway) -> Endpoint:
    """Iris with k = 15 behind an endpoint of two models' worth of rows: trained, deployed, answering."""
    dataset_create_from_sample(actor=alice, name="iris", sample="iris")
    dataset_split(actor=alice, name="iris", fractions={"train": 0.75, "test": 0.25}, seed=0)
    return _served(alice, host, public_gateway, "iris", train="iris-train", kind="classifier", dim=4)


def _served(
    alice: Actor, host: HostDriver, gateway: PublicGateway, name: str, *, train: str, kind: str, dim: int
) -> Endpoint:
    job = training_job_create(
        actor=alice,
        name=name,
        algorithm="knn",
        hyperparameters={"k": K, "predictor_type": kind, "feature_dim": dim, "sample_size": 10_000},
        channels={"train": ChannelRequest(dataset=train)},
    )
    assert training_job_run(job_id=job.pk, worker=WorkerState(name="test"))
    model_create(actor=alice, name=name, training_job=name)
    endpoint = endpoint_create(actor=alice, name=name, variants=[VariantRequest(model=name)])
    host.until_status(endpoint, "InService")
    gateway.reload()
    return endpoint


@pytest.mark.slow
def test_the_neighbours_are_rows_of_the_training_data_nearest_first(
    alice: Actor, bob: Actor, charlie: Actor, inspected: Endpoint
) -> None:
    events = AuditEvent.objects.count()
    found = endpoint_neighbours(actor=bob, name="iris", dataset="iris-test", row_number=38)
    train = dataset_version_get(actor=alice, reference="iris-train")
    rows = dataset_rows(version=train, numbers=range(1, train.n_rows + 1))
    X = np.array([row[:4] for row in rows.values()], float)
    query = np.array(found.query.values, float)
    distances = ((X - query) ** 2).sum(axis=1)

    assert (found.query.label, found.predicted, str(found.training_data)) == (
        "versicolor",
        "virginica",
        "iris-train@1",
    )
    assert_allclose([one.distance for one in found.neighbours], np.sort(distances)[:K], atol=1e-4)
    for one in found.neighbours:
        assert one.row is not None
        assert [*(one.values or []), one.label] == rows[one.row]
    assert len({one.row for one in found.neighbours}) == K == len(found.votes)
    assert found.label_of(found.votes[-1]) == found.predicted
    true = np.cumsum([one.label == "versicolor" for one in found.neighbours])
    assert_array_equal([vote.n_true for vote in found.votes], true)
    assert AuditEvent.objects.count() == events
    with pytest.raises(NotFound):
        endpoint_neighbours(actor=charlie, name="iris", dataset="iris-test", row_number=1)

    # A training row is its own nearest neighbour.
    again = endpoint_neighbours(actor=alice, name="iris", row=rows[7][:4])
    assert (again.neighbours[0].distance, again.neighbours[0].values) == (0, rows[7][:4])
    assert (again.query.version, again.true_label, again.votes[0].n_true) == (None, None, None)

    _pages_show_it(alice)
    _what_is_gone_is_said(alice)


def _pages_show_it(alice: Actor) -> None:
    """The same on the page: k of the address, rows with links to their own neighbours, the ones before and after."""
    client = Client()
    client.force_login(alice.user)
    address = reverse("web:endpoint-neighbours", kwargs={"project": "flowers", "name": "iris"})
    page = html.unescape(
        client.get(address, {"dataset": "iris-test@1", "row": "２", "k": "3"}).content.decode()
    )
    assert 'value="iris-test@1" selected' in page
    assert len(re.findall(r'<th scope="row" class="numeric">\d+</th>', page)) == 3
    assert "?dataset=iris-test%401&row=1&k=3" in page and "?dataset=iris-test%401&row=3&k=3" in page
    assert re.search(r'href="\?dataset=iris-train@1&row=\d+"', page)
    assert "Sepal.Length" in page and "differs-" in page and "votes-by-k" in page
    assert "Squared distance" in page and "row=２&k=3&as=json" in unquote(page)
    file = client.get(address, {"dataset": "iris-test@1", "row": "2", "k": "3", "as": "json"})
    rows = json.loads(b"".join(file.streaming_content))["rows"]
    assert [row["rank"] for row in rows] == [0, 1, 2, 3] and rows[0]["row"] == 2
    query, nearest = (
        [float(cell) for name, cell in row.items() if name.startswith(("Sepal", "Petal"))] for row in rows[:2]
    )
    squared = sum((here - there) ** 2 for here, there in zip(query, nearest, strict=True))
    assert rows[1]["distance"] == pytest.approx(squared, abs=1e-5)
    for k in ("0", "-1", "9" * 30, "x", ""):
        answer = client.get(address, {"dataset": "iris-test", "row": "38", "k": k})
        assert answer.status_code == 200 and 1 <= answer.context["k"] <= K
    for row, status in (("39", 400), ("0", 400), ("two", 400), ("9" * 19, 400)):
        answer = client.get(address, {"dataset": "iris-test", "row": row})
        assert answer.status_code == status and 'id="row-error"' in answer.content.decode()
    for values in ("1,2,3", "1,2,3,4\n5,6,7,8", "1,2,wide,4", "1,2,,4", "1" * 70_000):
        answer = client.get(address, {"values": values})
        assert answer.status_code == 400 and 'id="values-error"' in answer.content.decode(), values[:20]
    assert client.get(address, {"values": "5.1\t3.5\t1.4\t0.2"}).context["answer"] == "setosa"


def _what_is_gone_is_said(alice: Actor) -> None:
    TrainingInput.objects.update(dataset_version=None)
    found = endpoint_neighbours(actor=alice, name="iris", dataset="iris-test", row_number=1)
    assert "no longer here" in found.unread
    assert found.training_data is None
    assert all(one.row and one.values is None for one in found.neighbours)
    assert found.feature_names[0] == "Sepal.Length"


@pytest.mark.slow
def test_of_a_regressor_the_answer_is_the_mean(
    alice: Actor, host: HostDriver, public_gateway: PublicGateway
) -> None:
    dataset_create_from_sample(actor=alice, name="diabetes", sample="diabetes")
    _served(alice, host, public_gateway, "diabetes", train="diabetes", kind="regressor", dim=10)
    found = endpoint_neighbours(actor=alice, name="diabetes", dataset="diabetes", row_number=5)
    labels = [float(one.label) for one in found.neighbours]
    assert_allclose([vote.value for vote in found.votes], np.cumsum(labels) / np.arange(1, K + 1))
    assert found.neighbours[0].row == 5
    assert not found.is_classifier
    client = Client()
    client.force_login(alice.user)
    address = reverse("web:endpoint-neighbours", kwargs={"project": "flowers", "name": "diabetes"})
    page = client.get(address, {"dataset": "diabetes", "row": "5", "k": "4"}).content.decode()
    assert "true value" in page and "mean of the nearest k" in page
    body = {"dataset": "diabetes", "row_number": 5}
    answer = client.post(
        "/api/v1/projects/flowers/endpoints/diabetes/neighbours/",
        body,
        content_type="application/json",
    ).json()
    assert [vote["prediction"] for vote in answer["votes"]] == [vote.value for vote in found.votes]
    assert answer["neighbours"][0]["row"] == 5 and answer["training_data"] == "diabetes@1"


# What cannot be asked for


@pytest.fixture
def waiting(alice: Actor, iris_model: Model) -> Endpoint:
    """An endpoint that nobody serves."""
    dataset_create_from_sample(actor=alice, name="iris", sample="iris")
    dataset_create_from_sample(actor=alice, name="wine", sample="wine")
    return endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "row"),
    ({"row": [1, 2, 3, 4], "dataset": "iris", "row_number": 1}, "row"),
    ({"row": [1, 2, 3]}, "row"),
    ({"row": ["9" * 101, 2, 3, 4]}, "row"),
    ({"dataset": "nothing", "row_number": 1}, "dataset"),
    ({"dataset": "iris@9", "row_number": 1}, "dataset"),
    ({"dataset": "wine", "row_number": 1}, "dataset"),
    ({"dataset": "iris"}, "row_number"),
    ({"dataset": "iris", "row_number": 0}, "row_number"),
    ({"dataset": "iris", "row_number": 151}, "row_number"),
    ({"row": [1, 2, 3, 4], "variant": "Other"}, "variant"),
]


def test_what_cannot_be_asked_for_is_refused_by_field(alice: Actor, waiting: Endpoint) -> None:
    for asked, field in REFUSED:
        with pytest.raises(InvalidRequest) as caught:
            endpoint_neighbours(actor=alice, name="iris", **asked)
        assert [error.field for error in caught.value.errors] == [field], asked


def test_without_a_gateway_and_without_a_model_of_neighbours_it_is_said(
    alice: Actor, waiting: Endpoint
) -> None:
    with pytest.raises(ServiceUnavailable):
        endpoint_neighbours(actor=alice, name="iris", row=[1, 2, 3, 4])
    Model.objects.update(algorithm="other")
    with pytest.raises(Conflict, match="no k-NN model"):
        endpoint_neighbours(actor=alice, name="iris", row=[1, 2, 3, 4])
    client = Client()
    client.force_login(alice.user)
    address = reverse("web:endpoint-neighbours", kwargs={"project": "flowers", "name": "iris"})
    assert b"No k-NN model here" in client.get(address).content
    detail = reverse("web:endpoint-detail", kwargs={"project": "flowers", "name": "iris"})
    assert address not in client.get(detail).content.decode()
