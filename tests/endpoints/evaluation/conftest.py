"""Endpoints to evaluate: a model server in a process of its own behind a real gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from endpoints.evaluation.spec import EvaluationSpec
from endpoints.gateway.routing import RouteVariant
from endpoints.run_token import run_token_new
from endpoints.serving.address import Address
from tests.endpoints.gateway.stage import RUNS_KEY, Stage
from tests.endpoints.loop_thread import LoopThread
from tests.endpoints.serving.conftest import loop_thread, socket_dir
from tests.endpoints.serving.replica import ReplicaProcess

__all__ = ["loop_thread", "socket_dir"]

ENGINES = "tests.endpoints.evaluation.engines"
Serve = Callable[..., None]


@pytest.fixture
def stage(loop_thread: LoopThread, socket_dir: Path) -> Iterator[Stage]:
    made = Stage(loop_thread, socket_dir)
    yield made
    made.close()


@pytest.fixture
def serve(stage: Stage, socket_dir: Path) -> Iterator[Serve]:
    """Starts a model server with an engine of ours, `train.json` in its folder, and makes it the endpoint `iris`."""
    with ExitStack() as running:

        def start(engine: str = "Nearest", **train: Any) -> None:
            (socket_dir / "model").mkdir()
            (socket_dir / "model" / "train.json").write_text(json.dumps(train))
            options = ["--engine", f"{ENGINES}:{engine}"]
            replica = ReplicaProcess(socket_dir / "replica", socket_dir / "model", options)
            running.enter_context(replica).wait_ready()
            stage.route(RouteVariant("AllTraffic", 1.0, (Address(path=str(socket_dir / "replica")),)))

        yield start


@pytest.fixture
def spec_for(stage: Stage, tmp_path: Path) -> Callable[..., EvaluationSpec]:
    """Writes a table with header, label last, and says how endpoint `iris` is to be evaluated with it."""

    def made(text: str, **more: Any) -> EvaluationSpec:
        (tmp_path / "data.csv").write_text(text)
        (tmp_path / "run").mkdir(exist_ok=True)
        columns = text.partition("\n")[0].split(",")
        schema = {"format": "csv", "columns": columns, "types": ["fractional"] * len(columns)}
        schema |= {"label": len(columns) - 1} | more.pop("schema", {})
        token = run_token_new(key=RUNS_KEY, project="default", endpoint="iris", expires_at=time.time() + 600)
        given: dict[str, Any] = {
            "data": str(tmp_path / "data.csv"),
            "schema": schema,
            "socket": str(stage.folder / "runs"),
            "token": token,
            "project": "default",
            "endpoint": "iris",
            "variant": "",
            "is_classifier": True,
            "model_labels": None,
            "n_features": 2,
            "feature_names": None,
            "result": str(tmp_path / "run" / "predictions.bin"),
            "batches": 7,
            "single_requests": 20,
        }
        return EvaluationSpec(**given | more)

    return made
