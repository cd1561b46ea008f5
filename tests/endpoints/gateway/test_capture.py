"""Data capture at the gateway: whose requests, when it takes effect, and that no invocation waits or fails for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from endpoints.capture.recorder import Recorder
from endpoints.capture.rule import CaptureRule
from endpoints.capture.spool import Spool, SpoolLimits
from endpoints.gateway.routing import Route, RouteVariant
from endpoints.run_token import run_token_new
from tests.endpoints.gateway.stage import PATH, RUNS_KEY, Stage, invocation
from tests.endpoints.loop_thread import LoopThread

RULE = CaptureRule("s3://bucket/data-capture")


class CaptureStage(Stage):
    """A gateway with a spool of its own."""

    def __init__(self, loop_thread: LoopThread, folder: Path, spool: Path) -> None:
        self.spool = spool
        self.recorder = Recorder(Spool(spool, SpoolLimits()))
        super().__init__(loop_thread, folder, recorder=self.recorder)

    def rule(self, rule: CaptureRule | None, *, is_async: bool = False) -> None:
        """Makes it the rule of the endpoint that there is, as a new routing table does."""
        (route,) = self.table.routes
        table = replace(self.table, version=int(self.table.version) + 1)
        self.table = replace(table, routes=(replace(route, capture=rule, is_async=is_async),))
        assert self.reload() == 200

    def records(self) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for path in sorted(self.spool.glob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def run(self, *, is_captured: bool) -> int:
        """One request of a run; its status."""
        token = run_token_new(
            key=RUNS_KEY,
            project="default",
            endpoint="iris",
            expires_at=time.time() + 60,
            is_captured=is_captured,
        )
        with self.runs() as client:
            client.send(invocation(token=None, Authorization=f"Run {token}"))
            return client.answer()[0]


@pytest.fixture
def captured(loop_thread: LoopThread, socket_dir: Path, tmp_path: Path) -> Iterator[CaptureStage]:
    made = CaptureStage(loop_thread, socket_dir, tmp_path)
    made.table = replace(
        made.table,
        routes=(
            Route(
                "default",
                "iris",
                7,
                "InService",
                (RouteVariant("AllTraffic", 1.0, (made.model_server("m").address,)),),
            ),
        ),
        version=1,
    )
    made.rule(RULE)
    yield made
    made.close()


def test_an_answer_that_has_arrived_is_in_the_spool(captured: CaptureStage) -> None:
    answer = captured.invoke(b"1,2", X_Amzn_SageMaker_Inference_Id="order-1")
    (record,) = captured.records()
    assert record["captureData"]["endpointInput"]["data"] == "1,2"
    assert record["captureData"]["endpointOutput"]["data"].encode() == answer[2]
    assert record["captureData"]["endpointOutput"]["encoding"] == "JSON"
    assert record["eventMetadata"]["inferenceId"] == "order-1"
    with captured.trusted() as client:
        client.send(invocation(token=None, X_Mlplatform_Project="default"))
        assert client.answer()[0] == 200
    assert len(captured.records()) == 2, "the page's own try-it panel is a request like any other"


def test_it_is_switched_by_the_next_table(captured: CaptureStage) -> None:
    captured.rule(None)
    captured.invoke()
    assert captured.records() == []
    captured.rule(replace(RULE, captures_input=False))
    captured.invoke()
    assert list(captured.records()[0]["captureData"]) == ["endpointOutput"]


def test_a_refused_request_is_not_captured(captured: CaptureStage) -> None:
    assert captured.invoke(b"not a number")[0] == 400
    assert captured.invoke(token=None)[0] == 401
    assert captured.invoke(path=f"{PATH}?variant=none")[0] == 400
    assert captured.records() == []


def test_runs_of_the_platform_are_not_captured_and_asynchronous_requests_are(captured: CaptureStage) -> None:
    assert captured.run(is_captured=False) == 200
    assert captured.records() == []
    captured.rule(RULE, is_async=True)
    assert captured.run(is_captured=True) == 200
    assert len(captured.records()) == 1


def test_a_spool_that_takes_nothing_fails_no_invocation(captured: CaptureStage) -> None:
    (captured.spool / "moved").mkdir()
    captured.spool.rename(captured.spool.with_name("elsewhere"))
    assert [captured.invoke()[0] for _ in range(5)] == [200] * 5
    assert captured.recorder.n_dropped == {7: 5} and captured.recorder.problem is not None
    captured.spool.mkdir()
    assert captured.invoke()[0] == 200
    assert captured.recorder.problem is None and len(captured.records()) == 1
