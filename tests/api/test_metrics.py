"""The platform's part of `/metrics`: who is told, what is counted, and what is left out while something is away."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.db import DatabaseError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from endpoints.gateway.balance import Balancer
from endpoints.gateway.exposition import process_text
from endpoints.gateway.metrics import MetricsDoor
from endpoints.gateway.tally import Tally
from endpoints.serving.address import Address
from mlplatform.api import health, metrics
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from tests.jobs.training.cast import cast_make, job_make
from tests.live import ROOT

GRAFANA = ROOT / "docs" / "grafana"
TOKEN = "a-token-for-prometheus"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def anew(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.MLPLATFORM_METRICS_TOKEN = TOKEN
    monkeypatch.setattr(health, "_kept", None)
    metrics.metrics_forget()
    yield
    metrics.metrics_forget()


def asked(authorization: str = f"Bearer {TOKEN}") -> Any:
    return Client().get("/metrics", headers={"Authorization": authorization})


def told() -> Samples:
    metrics.metrics_forget()
    answer = asked()
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_only_who_has_the_token_is_told_and_without_one_nobody(db: None, settings: Any) -> None:
    assert asked().status_code == 200
    for wrong in ("", "Bearer ", "Bearer x", TOKEN, "Bearer é"):
        assert asked(wrong).status_code == 401
    assert Client().post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code in {403, 404}
    settings.MLPLATFORM_METRICS_TOKEN = ""
    assert asked("Bearer ").status_code == 404


def test_jobs_queues_workers_and_parts_are_counted(db: None) -> None:
    job_make(cast_make().alice, "waits")
    node_beat(kind=NodeKind.WORKER, name="w-1", started_at=clock.now(), queues=["cpu"], concurrency=3)
    node_beat(kind=NodeKind.HOST, name="h-1", started_at=clock.now(), queues=["cpu"])
    found = told()
    assert found["mlplatform_jobs", (("kind", "training"), ("status", "InProgress"))] == 1
    cpu = (("queue", "cpu"),)
    names = ("jobs_waiting", "jobs_running", "workers", "places", "hosts", "workers_without_room")
    assert [found[f"mlplatform_queue_{name}", cpu] for name in names] == [1, 0, 1, 3, 1, 0]
    assert 0 <= found["mlplatform_queue_oldest_waiting_seconds", cpu] < 600
    assert found["mlplatform_queue_oldest_waiting_seconds", (("queue", "gpu"),)] == 0
    assert (
        found["mlplatform_up", (("part", "database"),)] == found["mlplatform_up", (("part", "store"),)] == 1
    )
    assert found["mlplatform_up", (("part", "broker"),)] == 0
    assert found["mlplatform_disk_free_bytes", (("place", "store"),)] > 0
    alive = {dict(labels)["kind"]: n for (name, labels), n in found.items() if name == "mlplatform_processes"}
    assert alive == {"worker": 1, "host": 1}
    assert found["mlplatform_web_process_resident_memory_bytes", ()] > 2**20


def test_without_the_database_the_rest_is_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(metrics, "platform_figures", away)
    found = told()
    assert ("mlplatform_up", (("part", "store"),)) in found
    assert not any(name in {"mlplatform_jobs", "mlplatform_endpoints"} for name, _ in found)


def test_scrapes_within_seconds_share_one_answer(db: None, django_assert_num_queries: Any) -> None:
    first = asked().content
    with django_assert_num_queries(0):
        assert asked().content == first


# ---- dashboard and alerts


def names_told() -> set[str]:
    """Every metric that a scrape of the gateway tells, as queries name it."""
    door = MetricsDoor(
        TOKEN,
        balancer=Balancer(),
        tally=Tally(),
        web=Address(path="/nowhere"),
        n_connections=lambda: 0,
        body_bytes=lambda: 0,
    )
    text = (
        asyncio.run(door._mine(web_answers=False)) + process_text().decode() + metrics.metrics_text().decode()
    )
    found: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        found |= {f"{name}_{end}" for end in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


@pytest.fixture
def swept(db: None) -> None:
    info = {"swept_at": clock.now().isoformat()}
    node_beat(kind=NodeKind.SCHEDULER, name="s-1", started_at=clock.now(), info=info)


def metrics_of(query: str) -> set[str]:
    return set(re.findall(r"\b(?:mlplatform|process)_\w+", query))


def test_every_query_of_the_dashboard_uses_what_is_told(swept: None) -> None:
    board = json.loads((GRAFANA / "mlplatform.json").read_text(encoding="utf-8"))
    assert board["schemaVersion"] >= 36 and board["uid"] == "mlplatform"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert {"datasource", "project", "endpoint"} <= set(variables)
    told_names = names_told()
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    queries += [each["definition"] for each in variables.values() if each["type"] == "query"]
    assert len(queries) > 20
    for query in queries:
        assert metrics_of(query) and metrics_of(query) <= told_names, query
        assert query.count("(") == query.count(")") and query.count("{") == query.count("}"), query
        assert set(re.findall(r"\$(\w+)", query)) - {"__rate_interval"} <= set(variables), query
    for panel in board["panels"]:
        assert {"x", "y", "w", "h"} == set(panel["gridPos"])
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"


def test_every_alert_uses_what_is_told(swept: None) -> None:
    [group] = yaml.safe_load((GRAFANA / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    told_names = names_told()
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert metrics_of(rule["expr"]) <= told_names, rule["expr"]
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) - {"instance"}
        assert all(label in rule["expr"] for label in named), rule
