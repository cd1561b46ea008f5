"""Peak memory of a k-NN training job, and what its model server keeps, on UCI Covertype.

    python -m benchmarks.knn_memory [--rows 500000] [--format parquet|csv] [--index faiss.Flat …]

Needs ../shared/data/covtype. Everything is real: each model is trained by the job process, whose peak is what the
kernel says of it when it has ended (all of it: interpreter, libraries, reading, the choice of how to search,
scoring), and served by the model server's process, whose resident memory is read after a batch of 581 rows with
all neighbours and 200 single rows. Bars: training at most three times the sample as float32, serving at most the
index plus 150 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.covertype import COLUMNS, covertype_ensure, covertype_write, schema_of
from benchmarks.options import options_parser
from benchmarks.serving_stage import call, wait_answered
from benchmarks.verdict import verdict
from endpoints.serving.address import Address
from endpoints.serving.client import ConnectionPool
from jobs.runner.spec import ChannelSpec, JobSpec
from jobs.runner.workspace import ChannelSource, Workspace
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.names import uid_new

TRAINING_BAR: Final = 3.0
SERVING_BAR_MB: Final = 150
N_TEST: Final = 5_000
N_BATCH: Final = 581
N_SINGLE: Final = 200
_MB: Final = 1e6
INDEXES: Final[Mapping[str, dict[str, str]]] = {
    "faiss.Flat": {},
    "faiss.IVFFlat": {"faiss_index_ivf_nlists": "700"},
    "faiss.IVFPQ": {"faiss_index_ivf_nlists": "700", "faiss_index_pq_m": "8"},
    "faiss.HNSW32": {},
}


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    parser.add_argument(
        "--index", choices=tuple(INDEXES), nargs="+", default=["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"]
    )
    parser.add_argument("--log", action="store_true", help="print the jobs' logs too")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    covertype_ensure()
    if options.write:
        # In a process of its own: what this one has used at most would count as its children's.
        covertype_write(options.write, n_train=options.rows, n_test=N_TEST, format=options.format)
        return
    array_mb = options.rows * (len(COLUMNS) - 1) * 4 / _MB
    print(f"{options.rows:,} rows as float32: {array_mb:.1f} MB; {options.format}, k 100, one thread")
    print(f"{'':14}{'training MB':>13}{'ratio':>8}{'index MB':>11}{'serving MB':>12}{'beside it':>11}")
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        data = Path(folder) / "data"
        again = [sys.executable, "-m", "benchmarks.knn_memory", "--write", str(data)]
        again += ["--rows", str(options.rows), "--format", options.format]
        subprocess.run(again, cwd=PROJECT_ROOT, check=True)
        for index in options.index:
            _measure(index, data, Path(folder) / index, options.format, array_mb, log=options.log)


def _measure(index: str, data: Path, root: Path, format: str, array_mb: float, *, log: bool) -> None:
    training_mb = _train(index, data, root, format, log=log)
    index_mb = (root / "model" / "model_algo-1").stat().st_size / _MB
    serving_mb = _serve(root / "model", data, root / "replica.sock")
    ratio = training_mb / array_mb
    beside_mb = serving_mb - index_mb
    print(f"{index:14}{training_mb:13.1f}{ratio:8.2f}{index_mb:11.1f}{serving_mb:12.1f}{beside_mb:11.1f}")
    verdict(f"{index}: memory of training to the sample's", ratio, TRAINING_BAR, unit="times")
    verdict(f"{index}: memory of serving beside the index", beside_mb, SERVING_BAR_MB, unit="MB")


def _train(index: str, data: Path, root: Path, format: str, *, log: bool) -> float:
    """Trains with the job process; its peak memory in MB."""
    workspace = Workspace(root)
    workspace.make()
    values = {"k": "100", "predictor_type": "classifier", "sample_size": "500000", "index_type": index}
    kind = "application/x-parquet" if format == "parquet" else "text/csv"
    channels = [ChannelSource(name, (), kind, "File", f".{format}") for name in ("train", "test")]
    workspace.configure(hyperparameters=values | INDEXES[index], channels=channels, instance_type="local.cpu")
    for name in ("train", "test"):
        folder = root / "input" / "data" / name
        folder.mkdir()
        os.link(data / f"{name}.{format}", folder / f"part-00000.{format}")
    spec = JobSpec(
        uid=uid_new(),
        name="covertype",
        attempt=1,
        algorithm="knn",
        root=root,
        channels={
            name: ChannelSpec(schema=schema_of(format), content_type=kind) for name in ("train", "test")
        },
    )
    command = [sys.executable, "-m", "jobs.runner", str(spec.write())]
    with (root / "log").open("wb") as output:
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if log or process.returncode:
        print((root / "log").read_text())
    if process.returncode:
        sys.exit(f"the job ended with exit code {process.returncode}")
    return usage.ru_maxrss * 1024 / _MB


def _serve(model_dir: Path, data: Path, socket: Path) -> float:
    """Serves the model, asks it for neighbours; the resident memory of its process in MB then."""
    options = ["--socket", str(socket), "--model-dir", str(model_dir), "--algorithm", "knn", "--threads", "1"]
    command = [sys.executable, "-m", "endpoints.serving", *options]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
    try:
        rows = (data / "questions.csv").read_bytes().splitlines(keepends=True)
        asyncio.run(_ask(Address(path=str(socket)), rows))
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / _MB
    finally:
        process.terminate()
        process.wait(10)


async def _ask(address: Address, rows: list[bytes]) -> None:
    await wait_answered(address, _request(rows[0]))
    pool = ConnectionPool(address)
    for body in (b"".join(rows[:N_BATCH]), *rows[:N_SINGLE]):
        answer = await call(pool, _request(body))
        if len(json.loads(answer.body)["predictions"]) != body.count(b"\n"):
            raise RuntimeError(answer.body[:300].decode())
    pool.close()


def _request(body: bytes) -> bytes:
    head = "POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: text/csv\r\n"
    head += f"Accept: application/json; verbose=true\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


if __name__ == "__main__":
    main()
