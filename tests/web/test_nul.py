"""NUL in an address, a search or a form: Postgres takes it nowhere, and it is the sender's fault, not ours."""

from __future__ import annotations

import io

import pytest
from django.db import DataError, transaction
from django.test import Client

from jobs.services.datasets import dataset_create_from_upload
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.health.outages import outage_of
from tests.web.conftest import Visitor

LISTS = ("audit-event-list", "training-job-list", "dataset-list", "endpoint-list", "model-list")


@pytest.mark.parametrize("name", LISTS)
def test_a_search_for_nul_is_no_fault_of_ours(alice: Visitor, name: str) -> None:
    assert alice.get(name, {"search": "a\0b"}).status_code in {200, 400}


@pytest.mark.parametrize(
    "address",
    [
        "/projects/al%00pha/",
        "/projects/alpha/training-jobs/x%00y/",
        "/projects/alpha/endpoints/x%00y/",
        "/api/v1/projects/al%00pha/models/",
        "/api/v1/projects/alpha/training-jobs/x%00y/",
        "/api/v1/projects/alpha/training-jobs/?search=x%00y",
    ],
)
def test_an_address_with_nul_finds_nothing(alice: Visitor, address: str) -> None:
    answer = alice.client.get(address)
    assert answer.status_code in ({200, 400} if "?" in address else {400, 404})


def test_a_user_name_with_nul_signs_nobody_in(db: None) -> None:
    assert Client().post("/login/", {"username": "a\0b", "password": "x"}).status_code == 400


def test_nul_in_the_name_of_a_column_is_the_sender_s_fault(alice: Visitor) -> None:
    rows = b'{"a\\u0000":1,"label":"p"}\n{"a\\u0000":2,"label":"q"}\n'
    try:
        with transaction.atomic():
            dataset_create_from_upload(
                actor=alice.actor, name="n", file=io.BytesIO(rows), filename="n.jsonl", label="label"
            )
    except DataError as error:
        assert isinstance(outage_of(error), InvalidRequest)
