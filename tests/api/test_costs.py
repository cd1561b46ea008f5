"""REST: the price sheet, a project's costs, one job beside several."""

from __future__ import annotations

import pytest

from mlplatform.core import clock
from tests.api.conftest import Person
from tests.spending import job_made


def test_the_sheet_is_read_by_members_and_written_by_operators(alice: Person, bob: Person) -> None:
    sheet = bob.client.get("/api/v1/price-sheet/").json()
    assert (
        sheet["currency"] == "USD" and sheet["prices"]["ml.c5.xlarge"] == "0.204" and sheet["changed"] == []
    )
    change = {"currency": "JPY", "prices": {"ml.c5.xlarge": 31.5, "serverless": "0.003"}}
    assert alice.client.put("/api/v1/price-sheet/", change, format="json").status_code == 403
    alice.user.is_staff = True
    alice.user.save()
    answer = alice.client.put("/api/v1/price-sheet/", change, format="json")
    assert answer.status_code == 200
    assert (
        answer.json()["prices"]["ml.c5.xlarge"] == "31.5"
        and answer.json()["prices"]["ml.m5.large"] == "0.115"
    )
    assert answer.json()["changed"] == ["ml.c5.xlarge", "serverless"]
    types = {item["name"]: item for item in bob.client.get("/api/v1/instance-types/").json()["items"]}
    assert types["ml.c5.xlarge"]["price_per_hour"] == 31.5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prices": {"ml.none": 1}}, "prices.ml.none"),
        ({"prices": {"local.cpu": -1}}, "prices.local.cpu"),
        ({"prices": {}, "currency": "yen"}, "currency"),
        ({}, "prices"),
        ({"prices": {}, "colour": "red"}, "colour"),
    ],
)
def test_what_is_no_sheet_is_refused_by_its_field(alice: Person, body: dict[str, object], field: str) -> None:
    alice.user.is_staff = True
    alice.user.save()
    answer = alice.client.put("/api/v1/price-sheet/", body, format="json")
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_what_a_project_spent(bob: Person, charlie: Person) -> None:
    job_made(bob.actor, "one", ended_at=clock.now(), seconds=3600)
    path = "/api/v1/projects/alpha/costs/"
    costs = bob.client.get(path).json()
    assert costs["total"] == {"seconds": 3600.0, "amount": 0.204, "currency": "USD"}
    assert costs["spent"][0]["name"] == "one" and len(costs["days"]) == 30
    assert charlie.client.get(path).status_code == 404
    assert bob.client.get(f"{path}?since=2026-02-30").status_code == 400
    assert bob.client.get(f"{path}?since=2026-02-02&until=2026-02-01").json()["errors"][0]["field"] == "until"
    assert b"one" in b"".join(bob.client.get(f"{path}?as=csv").streaming_content)  # type: ignore[attr-defined]


def test_one_job_beside_several(bob: Person) -> None:
    for name, seconds in (("both", 6), ("x", 4), ("c", 6)):
        job_made(bob.actor, name, ended_at=clock.now(), seconds=seconds, input_bytes=10)
    path = "/api/v1/projects/alpha/costs/together/"
    found = bob.client.get(f"{path}?job=both&separate=x&separate=c").json()
    assert found["ratio"] == {"time": 0.6, "bytes": 0.5, "cost": 0.6}
    assert [part["job"] for part in found["separate"]] == ["x", "c"]
    assert bob.client.get(f"{path}?job=ghost&separate=x").status_code == 404
    assert bob.client.get(f"{path}?job=both&separate=both").status_code == 400
