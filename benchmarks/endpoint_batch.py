"""Batches of 581 Covertype rows, all neighbours asked for, and single rows: in process and through the endpoint.

    python -m benchmarks.endpoint_batch [--samples 200000 500000] [--batches 25] [--singles 300] [--threads 2]

Needs ../shared/data/covtype. k-NN with k 100 is trained by the job process on the well-known split; model server and
gateway are processes of their own, called with an access key at the public port and with a run's token at the
socket of runs. The ways take turns batch by batch, so that a busy machine is busy for all of them, and the model in
this process has the model server's thread settings. Bar: a batch through either door at most 1.3 times as long as
in process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import uvloop

from benchmarks.covertype import covertype_ensure, covertype_read, rows_write, schema_of
from benchmarks.options import options_parser
from benchmarks.serving_stage import ServingStage, call, knn_train, wait_answered
from benchmarks.verdict import verdict
from endpoints.serving.address import Address
from endpoints.serving.client import ConnectionPool

BAR: Final = 1.3
N_BATCH: Final = 581
VERBOSE: Final = "application/json; verbose=true"
_MODEL_MS: Final = b"x-mlplatform-model-ms"
Times = dict[str, list[float]]


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[200_000, 500_000])
    parser.add_argument("--batches", type=int, default=25)
    parser.add_argument("--singles", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--index", default="faiss.Flat")
    options = parser.parse_args()
    covertype_ensure()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read once, when the libraries are imported
        os.environ[name] = str(options.threads)
    train, test = covertype_read()
    for n_samples in options.samples:
        with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
            model_dir = _train(Path(folder) / "ml", train, n_samples, options.index)
            print(f"\n{n_samples:,} rows, {options.index}, {options.threads} threads", flush=True)
            _measure(Path(folder), model_dir, test[:, :-1], options)


def _train(root: Path, rows: Any, n_samples: int, index: str) -> Path:
    values = {"k": "100", "predictor_type": "classifier", "sample_size": str(n_samples), "index_type": index}
    return knn_train(root, values, partial(rows_write, rows), schema=schema_of("csv"))


def _measure(folder: Path, model_dir: Path, rows: Any, options: argparse.Namespace) -> None:
    with (
        ServingStage(folder, model_dir, n_threads=options.threads) as stage,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        here = _InProcess(model_dir, options.threads)
        starts = range(0, len(rows), N_BATCH)
        batches = [rows[start : start + N_BATCH] for start in starts[: options.batches]]
        runner.run(wait_answered(stage.replica, stage.request(stage.replica, _csv(rows[:1]))))
        doors = {"public port": stage.public, "socket of runs": stage.runs}
        for address in doors.values():
            runner.run(wait_answered(address, stage.request(address, _csv(rows[:1]))))
        _report("batch", *runner.run(_ways(stage, doors, here, batches, VERBOSE)), bar=BAR)
        singles = [rows[i : i + 1] for i in range(options.singles)]
        _report("one row", *runner.run(_ways(stage, doors, here, singles, "application/json")), bar=None)


async def _ways(
    stage: ServingStage, doors: dict[str, Address], here: _InProcess, asked: list[Any], accept: str
) -> tuple[Times, Times]:
    """Milliseconds of each way for the same rows, and of their parts."""
    pools = {name: ConnectionPool(address) for name, address in doors.items()}
    times: Times = defaultdict(list)
    parts: Times = defaultdict(list)
    for number, rows in enumerate(asked):
        body = _csv(rows)
        ways = ["in process", *doors]
        for way in ways[number % 3 :] + ways[: number % 3]:
            if way == "in process":
                for part, spent_ms in here(body, accept).items():
                    parts[part].append(spent_ms)
                times[way].append(parts["predict"][-1])
                continue
            request = stage.request(doors[way], body, accept=accept)
            began_at = perf_counter()
            answer = await call(pools[way], request)
            times[way].append((perf_counter() - began_at) * 1000)
            model_ms = float(answer.header(_MODEL_MS) or 0)
            parts[f"model server by its own clock, {way}"].append(model_ms)
            parts[f"hops, {way}"].append(times[way][-1] - model_ms)
            parts["answer, bytes"].append(len(answer.body))
    for pool in pools.values():
        pool.close()
    return times, parts


def _report(title: str, times: Times, parts: Times, *, bar: float | None) -> None:
    base = median(times["in process"])
    least = min(times["in process"])
    head = f"  {title}, {len(times['in process'])} times"
    print(f"{head:49}{'median ms':>11}{'ratio':>9}{'least ms':>11}{'ratio':>9}")
    for way, spent in times.items():
        ratio = median(spent) / base
        of_least = f"{min(spent):11.3f}{min(spent) / least:9.3f}"
        print(f"    {way:45}{median(spent):11.3f}{ratio:9.3f}{of_least}")
    for part, spent in parts.items():
        print(f"      {part:43}{median(spent):11.3f}{'':9}{min(spent):11.3f}")
    sys.stdout.flush()
    for way, spent in times.items():
        if bar is not None and way != "in process":
            verdict(f"{title} through the {way} against in process", median(spent) / base, bar, unit="times")


class _InProcess:
    """The model in this process, and what the model server does with a request before and after it."""

    def __init__(self, model_dir: Path, n_threads: int) -> None:
        from endpoints.serving.decode import decode
        from endpoints.serving.encode import encode, format_choose
        from endpoints.serving.loader import model_load

        self._model = model_load(algorithm="knn", model_dir=model_dir, n_threads=n_threads)
        self._decode, self._encode, self._format_choose = decode, encode, format_choose

    def __call__(self, body: bytes, accept: str) -> dict[str, float]:
        """Milliseconds of each part."""
        answer = self._format_choose(accept.encode())
        marks = [perf_counter()]
        X = self._decode(body, b"text/csv", self._model.n_features)
        marks.append(perf_counter())
        prediction = self._model.predictor.predict(X, verbose=answer.verbose)
        marks.append(perf_counter())
        self._encode(prediction, answer.columns(prediction, plain=self._model.plain_columns), answer)
        marks.append(perf_counter())
        spent = [(end - start) * 1000 for start, end in pairwise(marks)]
        return dict(zip(("parse", "predict", "encode"), spent, strict=True))


def _csv(rows: Any) -> bytes:
    return "\n".join(",".join(map(str, row)) for row in rows.tolist()).encode()


if __name__ == "__main__":
    main()
