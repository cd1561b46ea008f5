"""Health, workers, instance types, algorithms."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from rest_framework.test import APIClient

from mlplatform.api import health
from mlplatform.core import clock
from mlplatform.core.health import doctor
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.text import text as _
from tests.api.conftest import BASE, Person


def asked(path: str) -> Any:
    return APIClient().get(f"{BASE}/{path}")


def test_health_needs_no_credentials_and_names_every_part(db: None) -> None:
    answer = asked("health/")
    assert answer.status_code == 200
    components = answer.json()["components"]
    assert list(components) == ["database", "broker", "store", "workers", "hosts"]
    assert components["database"]["status"] == components["store"]["status"] == "ok"


def test_health_is_degraded_without_broker_and_workers(db: None) -> None:
    answer = asked("health/").json()
    assert answer["status"] == "degraded"
    assert answer["components"]["broker"]["status"] == "failing"
    assert answer["components"]["workers"]["status"] == "away"


def test_health_counts_workers_that_are_alive(transactional_db: None) -> None:
    node_beat(kind=NodeKind.WORKER, name="w-1", started_at=clock.now(), queues=["cpu"])
    assert asked("health/").json()["components"]["workers"] | {"latency_ms": 0} == {
        "status": "ok",
        "detail": "1",
        "latency_ms": 0,
    }


def test_health_fails_without_the_store_and_tells_no_path(db: None, settings: Any, tmp_path: Any) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("not a folder")
    settings.OBJECT_STORE_URL = f"file://{blocked}/store"
    answer = asked("health/")
    assert answer.json()["status"] == "failing"
    assert answer.json()["components"]["store"]["status"] == "failing"
    assert str(tmp_path) not in answer.content.decode()


def test_health_does_not_wait_for_a_part_that_hangs(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    released, ended = threading.Event(), threading.Event()

    def hang() -> float:
        released.wait(30)
        ended.set()
        return 1.0

    monkeypatch.setattr(health, "LIMIT_S", 0.2)
    monkeypatch.setattr(health, "broker_probe", hang)
    components = asked("health/").json()["components"]
    released.set()
    ended.wait(30)
    assert components["broker"]["status"] == "failing"
    assert "0.2 s" in components["broker"]["detail"]


def test_health_is_asked_of_the_parts_once_a_second(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    n_checks = 0
    probe = health.store_probe

    def counting() -> float:
        nonlocal n_checks
        n_checks += 1
        return probe()

    monkeypatch.setattr(health, "KEPT_S", 60.0)
    monkeypatch.setattr(health, "store_probe", counting)
    for _time in range(5):
        asked("health/")
    assert n_checks == 1


def test_workers_show_queues_and_whether_they_live(alice: Person) -> None:
    node_beat(kind=NodeKind.WORKER, name="w-1", started_at=clock.now(), queues=["cpu"], concurrency=2)
    [found] = alice.client.get(f"{BASE}/workers/").json()["items"]
    assert (found["kind"], found["queues"], found["concurrency"], found["alive"]) == (
        "worker",
        ["cpu"],
        2,
        True,
    )


def test_instance_types_have_price_and_limit(alice: Person) -> None:
    items = alice.client.get(f"{BASE}/instance-types/").json()["items"]
    by_name = {item["name"]: item for item in items}
    assert by_name["local.cpu"]["queue"] == "cpu"
    assert by_name["ml.p3.2xlarge"] | {"in_use": 0} == by_name["ml.p3.2xlarge"]
    assert by_name["ml.p3.2xlarge"]["gpus"] == 1


def test_instance_types_say_who_serves_them(alice: Person) -> None:
    def served() -> dict[str, dict[str, bool]]:
        items = alice.client.get(f"{BASE}/instance-types/").json()["items"]
        return {item["name"]: item["served"] for item in items}

    assert served()["local.cpu"] == {"by_worker": False, "by_host": False}
    node_beat(kind=NodeKind.WORKER, name="w-1", started_at=clock.now(), queues=["cpu"])
    node_beat(kind=NodeKind.HOST, name="h-1", started_at=clock.now(), queues=["cpu", "gpu"])
    assert served()["ml.c5.xlarge"] == {"by_worker": True, "by_host": True}
    assert served()["ml.p2.xlarge"] == {"by_worker": False, "by_host": True}


def test_instance_types_of_a_foreign_project_are_not_counted(alice: Person, charlie: Person) -> None:
    assert alice.client.get(f"{BASE}/instance-types/", {"project": "gamma"}).status_code == 404


def test_an_algorithm_declares_its_hyperparameters(alice: Person) -> None:
    answer = alice.client.get(f"{BASE}/algorithms/knn/").json()
    by_name = {item["name"]: item for item in answer["hyperparameters"]}
    assert by_name["k"]["type"] == "integer"
    assert by_name["k"]["required"]
    assert by_name["predictor_type"]["values"] == ["classifier", "regressor"]
    assert [channel["name"] for channel in answer["channels"]] == ["train", "test"]


def test_an_unknown_algorithm_is_not_found(alice: Person) -> None:
    answer = alice.client.get(f"{BASE}/algorithms/kmn/")
    assert answer.status_code == 404
    assert "knn" in answer.json()["detail"]


@pytest.fixture
def operator(alice: Person) -> Person:
    alice.user.is_staff = True
    alice.user.save()
    return alice


@pytest.fixture
def sick_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """One check, and it finds something."""
    monkeypatch.setattr(doctor, "_CHECKS", {})
    monkeypatch.setattr(doctor, "_kept", None)
    found = Finding(
        "broker", Level.FAILED, _("The broker cannot be reached"), _("Upgrade the database server.")
    )
    doctor_check("broker", title=_("Broker"))(lambda: [found])


def test_the_doctor_is_for_operators_only(alice: Person, bob: Person, sick_broker: None) -> None:
    assert asked("doctor/").status_code == 401
    for member in (alice, bob):
        answer = member.client.get(f"{BASE}/doctor/")
        assert answer.status_code == 403
        assert "broker" not in answer.content.decode()


def test_the_doctor_tells_operators_what_is_wrong_and_what_to_do(operator: Person, sick_broker: None) -> None:
    told = operator.client.get(f"{BASE}/doctor/").json()
    assert told["level"] == "failed"
    assert told["findings"] == [
        {
            "check": "broker",
            "title": "Broker",
            "level": "failed",
            "summary": "The broker cannot be reached",
            "remedy": "Upgrade the database server.",
        }
    ]


def test_the_doctor_speaks_the_clients_language(operator: Person, sick_broker: None) -> None:
    told = operator.client.get(f"{BASE}/doctor/", headers={"Accept-Language": "ja"}).json()
    assert told["findings"][0]["summary"] == "ブローカーに接続できません"
    assert told["findings"][0]["check"] == "broker"


def test_an_operators_session_opens_the_doctor_too(operator: Person, sick_broker: None) -> None:
    client = APIClient()
    client.force_login(operator.user)
    assert client.get(f"{BASE}/doctor/").status_code == 200
    operator.user.is_active = False
    operator.user.save()
    assert client.get(f"{BASE}/doctor/").status_code == 401
