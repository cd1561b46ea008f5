"""What benchmarks of invocations share: a trained model behind a real model server and a real gateway. No benchmark.

Every hop is a process of its own; the gateway authenticates and counts, captures where that is asked for, and has a
routing table in place of a database. `python -m benchmarks.serving_stage FOLDER PORT CAPTURES` is the gateway.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from benchmarks.platform_stage import free_port
from endpoints.capture.recorder import Recorder
from endpoints.capture.rule import CaptureRule
from endpoints.capture.spool import Spool, SpoolLimits
from endpoints.gateway.routing import KeyRecord, Route, RouteVariant, RoutingTable, Version
from endpoints.gateway.runs import RunsDoor
from endpoints.gateway.server import GatewayConfig, gateway_run
from endpoints.gateway.tally import MinuteCounts
from endpoints.run_token import run_token_new
from endpoints.serving.address import Address
from endpoints.serving.client import Answer, CallFailed, Connect, ConnectionPool, connect
from jobs.runner.spec import ChannelSpec, JobSpec
from jobs.runner.workspace import ChannelSource, Workspace
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.names import uid_new

PROJECT, ENDPOINT = "default", "measured"
UNCAPTURED: Final = "uncaptured"
"""The same model as another endpoint, of which nothing is captured."""
PATH: Final = f"/api/v1/projects/{PROJECT}/endpoints/{ENDPOINT}/invocations"
_KEY_ID, _SECRET = "BENCH", "secret"
_RUNS_KEY: Final = b"a key for the benchmark's runs"
_LIMIT_BYTES: Final = 64 * 1024 * 1024


class ServingStage:
    """A model server and a gateway in front of it; ended by leaving the `with`.

    Args:
        options: Further ones of the model server: which model it is.
        captures: Whether every request and answer is captured, into `capture` in the folder.

    Attributes:
        replica: Where the model server listens.
        public: Where the gateway listens for clients with an access key.
        runs: Where it listens for runs with a token.
    """

    def __init__(
        self,
        folder: Path,
        model_dir: Path,
        *,
        n_threads: int = 1,
        options: Sequence[str] = ("--algorithm", "knn"),
        captures: bool = False,
    ) -> None:
        self.replica = Address(path=str(folder / "replica.sock"))
        self.public = Address(host="127.0.0.1", port=free_port())
        self.runs = Address(path=str(folder / "runs.sock"))
        serve = ["--socket", str(self.replica), "--model-dir", str(model_dir), *options]
        self._processes = [
            _start("endpoints.serving", *serve, "--threads", str(n_threads)),
            _start("benchmarks.serving_stage", str(folder), str(self.public.port), str(int(captures))),
        ]

    def __enter__(self) -> ServingStage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(10)

    @property
    def token(self) -> str:
        """Of a run that may invoke the endpoint."""
        expires_at = time.time() + 86_400
        return run_token_new(key=_RUNS_KEY, project=PROJECT, endpoint=ENDPOINT, expires_at=expires_at)

    def request(
        self, address: Address, body: bytes, *, accept: str = "application/json", endpoint: str = ENDPOINT
    ) -> bytes:
        """A whole request with rows as CSV, as it is sent to one of the three addresses."""
        path = "/invocations" if address == self.replica else PATH.replace(ENDPOINT, endpoint)
        authorization = f"Bearer {_KEY_ID}.{_SECRET}"
        if address == self.runs:
            authorization = f"Run {self.token}"
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {authorization}\r\n"
        head += f"Content-Type: text/csv\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


async def call(pool: ConnectionPool, request: bytes) -> Answer:
    answer = await pool.call(request, limit_bytes=_LIMIT_BYTES, timeout_s=60)
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.body[:300].decode()}")
    return answer


async def wait_answered(
    address: Address, request: bytes, *, within_s: float = 60.0, connect: Connect = connect
) -> None:
    """Calls until there is an answer: the processes are starting."""
    deadline = time.monotonic() + within_s
    while True:
        pool = ConnectionPool(address, connect=connect)
        try:
            await call(pool, request)
            return
        except (CallFailed, RuntimeError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        finally:
            pool.close()


def knn_train(
    root: Path,
    values: Mapping[str, str],
    write: Callable[[Path], None],
    *,
    schema: dict[str, Any] | None = None,
) -> Path:
    """Trains k-NN with the job process; see `model_train`."""
    return model_train(root, "knn", values, write, schema=schema)


def model_train(
    root: Path,
    algorithm: str,
    values: Mapping[str, str],
    write: Callable[[Path], None],
    *,
    schema: dict[str, Any] | None = None,
) -> Path:
    """Trains with the job process; the folder of the model.

    Args:
        write: Writes the train channel's CSV.
        schema: Where it has a header; without, the label is the first column.
    """
    workspace = Workspace(root)
    workspace.make()
    channel = ChannelSource("train", (), "text/csv", "File", ".csv")
    workspace.configure(hyperparameters=dict(values), channels=[channel], instance_type="local.cpu")
    data = root / "input/data/train/train.csv"
    data.parent.mkdir(exist_ok=True)
    write(data)
    spec = JobSpec(
        uid=uid_new(),
        name="measured",
        attempt=1,
        algorithm=algorithm,
        root=root,
        channels={"train": ChannelSpec(schema=schema)} if schema else {"train": ChannelSpec()},
    )
    command = [sys.executable, "-m", "jobs.runner", str(spec.write())]
    subprocess.run(command, cwd=PROJECT_ROOT, check=True, stdout=subprocess.DEVNULL)
    return workspace.model_dir


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)


def _gateway(folder: Path, port: int, *, captures: bool) -> int:
    variant = RouteVariant("AllTraffic", 1.0, (Address(path=str(folder / "replica.sock")),))
    key = KeyRecord(hashlib.sha256(_SECRET.encode()).hexdigest(), PROJECT, "editor", "bench")
    rule = CaptureRule("s3://measured/capture") if captures else None
    route = Route(PROJECT, ENDPOINT, 1, "InService", (variant,), capture=rule)
    uncaptured = Route(PROJECT, UNCAPTURED, 2, "InService", (variant,))
    table = RoutingTable(1, (route, uncaptured), {_KEY_ID: key})

    def load_table(known: Version | None) -> RoutingTable | None:
        return None if known == table.version else table

    def flush(counts: Sequence[MinuteCounts]) -> None:
        for minute in counts:
            minute.latency.to_dict()

    config = GatewayConfig(
        public=Address(host="127.0.0.1", port=port),
        trusted=Address(path=str(folder / "gateway.sock")),
        web=Address(path=str(folder / "web.sock")),
        runs=RunsDoor(Address(path=str(folder / "runs.sock")), _RUNS_KEY),
    )
    recorder = _recorder(folder / "capture") if captures else None
    return gateway_run(config, load_table=load_table, flush=flush, recorder=recorder)


def _recorder(folder: Path) -> Recorder:
    folder.mkdir()
    return Recorder(Spool(folder, SpoolLimits()))


if __name__ == "__main__":
    sys.exit(_gateway(Path(sys.argv[1]), int(sys.argv[2]), captures=sys.argv[3] == "1"))
