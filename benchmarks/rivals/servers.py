"""MLServer and MLflow's model server with a model of the benchmark, each with one process and one thread, as ours has.

MLServer runs the model in its own process (`parallel_workers` 0) and MLflow writes no line for each request: both are
faster so. Rows travel as JSON, which is what MLServer takes and what MLflow reads fastest.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.platform_stage import free_port
from benchmarks.rivals.environments import environment_ensure
from endpoints.serving.address import Address

_RUNTIMES: Final = Path(__file__).parent / "runtimes"
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_END_WITHIN_S: Final = 10.0


@dataclass(frozen=True)
class RivalModel:
    """What is to be served.

    Attributes:
        kind: `knn`, whose folder has `index.faiss` and `labels.npy`; or `xgboost`, whose folder has `model.ubj`.
    """

    kind: str
    folder: Path


@dataclass(frozen=True)
class Rival:
    """A running server, a request for one row, and how the prediction is found in its answer."""

    name: str
    address: Address
    request: bytes
    prediction: Callable[[bytes], float]


@contextmanager
def mlserver_started(folder: Path, model: RivalModel, row: Sequence[float]) -> Iterator[Rival]:
    """MLServer, ended with the `with`; it keeps its files in `folder`. Raises RivalMissing."""
    environment = environment_ensure("mlserver")
    folder.mkdir()
    port = free_port()
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"debug": False, "host": "127.0.0.1", "parallel_workers": 0, **ports}
    (folder / "settings.json").write_text(json.dumps(settings))
    implementation, uri = "mlserver_xgboost.XGBoostModel", model.folder / "model.ubj"
    if model.kind == "knn":
        shutil.copy(_RUNTIMES / "knn_for_mlserver.py", folder)
        implementation, uri = "knn_for_mlserver.NearestNeighbour", model.folder
    served = {"name": "measured", "implementation": implementation, "parameters": {"uri": str(uri)}}
    (folder / "model-settings.json").write_text(json.dumps(served))
    tensor = {"name": "rows", "shape": [1, len(row)], "datatype": "FP32", "data": list(row)}
    with _process([environment / "bin" / "mlserver", "start", folder], folder):
        yield Rival(
            "MLServer",
            Address(host="127.0.0.1", port=port),
            _request("/v2/models/measured/infer", {"inputs": [tensor]}),
            lambda body: float(json.loads(body)["outputs"][0]["data"][0]),
        )


@contextmanager
def mlflow_started(folder: Path, model: RivalModel, row: Sequence[float]) -> Iterator[Rival]:
    """MLflow's model server, ended with the `with`; it keeps its files in `folder`. Raises RivalMissing."""
    programs = environment_ensure("mlflow") / "bin"
    folder.mkdir()
    port = free_port()
    source = model.folder if model.kind == "knn" else model.folder / "model.ubj"
    save = [programs / "python", _RUNTIMES / "save_for_mlflow.py", model.kind, source, folder / "model"]
    subprocess.run(list(map(str, save)), check=True, cwd=folder, capture_output=True)
    serve: list[object] = [programs / "mlflow", "models", "serve", "--env-manager", "local"]
    serve += ["--workers", "1", "--host", "127.0.0.1", "--port", port, "-m", folder / "model"]
    with _process(serve, folder):
        yield Rival(
            "MLflow",
            Address(host="127.0.0.1", port=port),
            _request("/invocations", {"inputs": [list(row)]}),
            lambda body: float(json.loads(body)["predictions"][0]),
        )


def _request(path: str, content: Any) -> bytes:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def _process(command: Sequence[object], folder: Path) -> Iterator[None]:
    """A process with all that it starts, in a group of its own; what it says is in `server.log`."""
    programs = str(Path(str(command[0])).parent)
    environ = {**os.environ, **_ONE_THREAD, "PATH": f"{programs}:{os.environ['PATH']}"}
    environ |= {"UVICORN_ACCESS_LOG": "0", "PYTHONPATH": str(folder)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
