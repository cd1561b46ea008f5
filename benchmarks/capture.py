"""What data capture adds to a one-row invocation of the Iris k-NN: p50 with capture on and off, in turns, in one run.

    python -m benchmarks.capture [--rounds 200] [--requests 50]

Two endpoints of one gateway lead to one model server; of one every request and answer is captured, of the other none.
They take turns of a few dozen requests each at one connection, so that a busy machine is busy for both. Also printed:
what it takes in process to make a record and to append it.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, time
from typing import Final

import uvloop

from benchmarks.invocation_models import knn_of_iris
from benchmarks.load import latencies
from benchmarks.options import options_parser
from benchmarks.serving_stage import ENDPOINT, UNCAPTURED, ServingStage, wait_answered
from benchmarks.verdict import verdict
from endpoints.capture.record import record_line
from endpoints.capture.rule import CaptureRule, LiveCapture
from endpoints.capture.spool import Spool, SpoolLimits

ADDED_BAR_MS: Final = 0.05
RECORD_BAR_US: Final = 50.0
ROW: Final = b"5.8,2.8,5.1,2.4"
ANSWER: Final = b'{"predictions": [{"predicted_label": 2.0}]}'


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--requests", type=int, default=50, help="per round and endpoint")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        _in_process(Path(folder) / "spool")
        _through_the_gateway(Path(folder), options.rounds, options.requests)


def _in_process(folder: Path, n: int = 20_000) -> None:
    folder.mkdir()
    live = LiveCapture(
        CaptureRule("s3://measured/capture"), project="default", endpoint="iris", endpoint_id=1
    )
    request = [(b"host", b"bench"), (b"content-type", b"text/csv"), (b"accept", b"application/json")]
    answer = [(b"content-type", b"application/json")]
    spool = Spool(folder, SpoolLimits())
    times: dict[str, list[float]] = {"record": [], "append": []}
    for _ in range(n):
        now, began_at = time(), perf_counter()
        line = record_line(live, request=request, body=ROW, answer=answer, content=ANSWER, now=now)
        made_at = perf_counter()
        spool.append(live.place("AllTraffic"), line, now=now)
        times["record"].append(made_at - began_at)
        times["append"].append(perf_counter() - made_at)
    spool.close()
    record_us, append_us = (median(values) * 1e6 for values in times.values())
    print(f"in process: {record_us:.1f} µs to make a record, {append_us:.1f} µs to append it")
    verdict("captured record, made and appended", record_us + append_us, RECORD_BAR_US, unit="µs")


def _through_the_gateway(folder: Path, n_rounds: int, n_requests: int) -> None:
    model = knn_of_iris(folder)
    with (
        ServingStage(folder, model.folder, captures=True) as stage,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        requests = {
            name: stage.request(stage.public, model.body, endpoint=endpoint)
            for name, endpoint in (("off", UNCAPTURED), ("on", ENDPOINT))
        }
        for request in requests.values():
            runner.run(wait_answered(stage.public, request))
        times: dict[str, list[float]] = {name: [] for name in requests}
        for _ in range(n_rounds):
            for name, request in requests.items():
                times[name] += runner.run(latencies(stage.public, request, n_requests))
        captured = sum(path.read_bytes().count(b"\n") for path in (folder / "capture").glob("*.jsonl"))
    on, off = (median(times[name]) * 1000 for name in ("on", "off"))
    print(f"p50 at one connection: {off:.3f} ms without capture, {on:.3f} ms with; {on / off:.3f} times")
    print(f"{captured:,} records of {n_rounds * n_requests + 1:,} requests in the spool")
    verdict("p50 that data capture adds to an invocation", on - off, ADDED_BAR_MS, unit="ms")


if __name__ == "__main__":
    main()
