"""Evaluations of Iris for tests: datasets, an endpoint that answers, one that only says so, a gateway that is mute."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from endpoints.models import Endpoint, Evaluation, Model
from endpoints.selectors.evaluations import evaluation_get
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.evaluations import evaluation_create, evaluation_execute
from jobs.services.datasets import dataset_create_from_upload
from mlplatform.core.env import runs_socket
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import FEATURES, LABELS, HostDriver, IrisParts, PublicGateway

NAMES = {float(code): text for text, code in LABELS.items()}
MakeDataset = Callable[..., None]


def csv_of(rows: list[list[float]], columns: list[str] | None = None) -> str:
    """Rows of features and code as a table with the names of the kinds."""
    order = [FEATURES.index(name) for name in columns or FEATURES]
    head = [*(columns or FEATURES), "species"]
    lines = [",".join([*(str(row[place]) for place in order), NAMES[row[-1]]]) for row in rows]
    return "\n".join([",".join(head), *lines]) + "\n"


@pytest.fixture
def make_dataset(alice: Actor) -> MakeDataset:
    def make(name: str, text: str, *, label: str | None = "species") -> None:
        dataset_create_from_upload(
            actor=alice, name=name, file=io.BytesIO(text.encode()), filename=f"{name}.csv", label=label
        )

    return make


@pytest.fixture
def iris_test(make_dataset: MakeDataset, iris: IrisParts) -> str:
    """The name of the dataset with the 38 rows."""
    make_dataset("iris-test", csv_of(iris.test))
    return "iris-test"


@pytest.fixture
def silent_endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    """`iris`, InService by its row, served by nobody."""
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    Endpoint.objects.filter(pk=created.pk).update(status="InService", live=created.wanted)
    return Endpoint.objects.get(pk=created.pk)


@pytest.fixture
def live_endpoint(
    alice: Actor, iris_model: Model, host: HostDriver, public_gateway: PublicGateway
) -> Endpoint:
    """`iris`, and it answers."""
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    host.until_status(created, "InService")
    public_gateway.reload()
    return created


@pytest.fixture
def waiting(alice: Actor, silent_endpoint: Endpoint, iris_test: str) -> Evaluation:
    """An evaluation that nobody has taken, of an endpoint that nobody serves."""
    return evaluation_create(actor=alice, name="first", endpoint="iris", dataset=iris_test, tags={"a": "b"})


def carried_out(actor: Actor, **request: Any) -> Evaluation:
    """A new evaluation of `iris` after its only attempt."""
    given = {"name": None, "endpoint": "iris", "batches": 4, "single_requests": 20, **request}
    made = evaluation_create(actor=actor, **given)
    assert evaluation_execute(evaluation_id=made.pk)
    return evaluation_get(actor=actor, name=made.name)


def execute_and_hang_up(evaluation_id: int) -> bool:
    """In a thread of its own, with its own connection to the database."""
    try:
        return evaluation_execute(evaluation_id=evaluation_id)
    finally:
        connection.close()


def results(actor: Actor) -> list[str]:
    """Addresses of all predictions in the store."""
    return [found.uri for found in object_store().list(f"s3://{actor.project.bucket}/evaluations")]


@contextmanager
def mute_gateway() -> Iterator[socket.socket]:
    """Where workers look for the gateway: takes calls, and answers when the test does."""
    path = runs_socket()
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(60)
        listening.bind(str(path))
        listening.listen()
        yield listening
