"""The whole evaluation of an endpoint on Covertype: 58,102 rows in 100 batches, then 2,000 single rows.

    python -m benchmarks.evaluation [--only flat-200k] [--batches 100] [--singles 2000] [--threads 1]

Needs ../shared/data/covtype. k-NN with k 100 is trained by the job process on the well-known split; model server,
gateway and the evaluation are processes as a host and a worker start them, the last in its sandbox. Beside it the
same searches in this process, half of them before and half after, with the model server's thread settings. Bar: the
evaluation, from the start of its process to the end, takes at most 1.5 times as long as the bare searches. Accuracy
at k = 100 is printed beside the published figure, which it must meet within 0.01.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import uvloop

from benchmarks.covertype import COLUMNS, covertype_ensure, covertype_read, rows_write, schema_of
from benchmarks.options import options_parser
from benchmarks.serving_stage import ENDPOINT, PROJECT, ServingStage, knn_train, wait_answered
from benchmarks.verdict import verdict

BAR: Final = 1.5
TOLERANCE: Final = 0.01


@dataclass(frozen=True)
class Configuration:
    """What is trained, and the accuracy published for it."""

    sample_size: int
    published: float
    values: dict[str, str]


def _pq(n_lists: int) -> dict[str, str]:
    return {
        "index_type": "faiss.IVFPQ",
        "faiss_index_ivf_nlists": str(n_lists),
        "faiss_index_pq_m": "8",
    }


CONFIGURATIONS: Final = {
    "flat-200k": Configuration(200_000, 0.812, {"index_type": "faiss.Flat"}),
    "flat-500k": Configuration(500_000, 0.872, {"index_type": "faiss.Flat"}),
    "ivfpq-200k": Configuration(200_000, 0.804, _pq(500)),
    "ivfpq-500k": Configuration(500_000, 0.863, _pq(700)),
}


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=CONFIGURATIONS, default=list(CONFIGURATIONS))
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--singles", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    covertype_ensure()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read once, when the libraries are imported
        os.environ[name] = str(options.threads)
    train, test = covertype_read()
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
            _measure(Path(folder), name, CONFIGURATIONS[name], train, test, options)


def _measure(
    folder: Path, name: str, wanted: Configuration, train: Any, test: Any, options: argparse.Namespace
) -> None:
    model_dir = _train(folder / "ml", train, wanted)
    data = folder / "test.parquet"
    rows_write(test, data)
    with (
        ServingStage(folder, model_dir, n_threads=options.threads) as stage,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        row = ",".join(map(str, test[0, :-1])).encode()
        runner.run(wait_answered(stage.runs, stage.request(stage.runs, row)))
        searches = _Searches(model_dir, test[:, :-1], options)
        before = searches.half(0)
        began_at = perf_counter()
        found = _evaluate(folder, stage, data, options)
        whole_s = perf_counter() - began_at
        after = searches.half(1)
    _report(name, wanted, found, whole_s, before + after)


def _report(name: str, wanted: Configuration, found: dict[str, Any], whole_s: float, bare: _Spent) -> None:
    summary, latency, quality = found["summary"], found["result"]["latency"], found["result"]["quality"]
    accuracy = quality["accuracy"][-1]
    is_near = abs(accuracy - wanted.published) <= TOLERANCE
    ratio = whole_s / bare.total_s
    print(f"\n{name}")
    print(
        f"  bare searches {bare.total_s:8.2f} s: batches {bare.batches_s:.2f}, single rows {bare.singles_s:.2f}"
    )
    print(f"  evaluation    {whole_s:8.2f} s, {ratio:.2f} times")
    verdict(f"{name}: evaluation against bare searches", ratio, BAR, unit="times")
    timed_s = latency["n_batches"] * latency["batch_mean_ms"] / 1000
    print(
        f"    batches timed {timed_s:.2f} s ({latency['n_batches']} of them), mean {latency['batch_mean_ms']:.1f} ms"
    )
    print(
        f"    single rows   mean {latency['single_mean_ms']:.3f} ms, p50 {latency['single_p50_ms']:.3f}, "
        f"p90 {latency['single_p90_ms']:.3f}, p99 {latency['single_p99_ms']:.3f}"
    )
    print(
        f"  accuracy at k = {summary['k']}: {accuracy:.4f}, published {wanted.published}: "
        f"{'within' if is_near else 'NOT within'} {TOLERANCE}; best at k = {summary['k_best']}: {summary['best']:.4f}"
    )
    print(f"  {len(found['json']):,} bytes of JSON; warnings: {found['result']['warnings']}", flush=True)


@dataclass(frozen=True)
class _Spent:
    batches_s: float
    singles_s: float

    @property
    def total_s(self) -> float:
        return self.batches_s + self.singles_s

    def __add__(self, other: _Spent) -> _Spent:
        return _Spent(self.batches_s + other.batches_s, self.singles_s + other.singles_s)


class _Searches:
    """The model in this process, asked for the same rows."""

    def __init__(self, model_dir: Path, X: Any, options: argparse.Namespace) -> None:
        import numpy as np

        from endpoints.serving.loader import model_load

        loaded = model_load(algorithm="knn", model_dir=model_dir, n_threads=options.threads)
        self._predictor = loaded.predictor
        X = X.astype(np.float32)
        n = min(options.singles, len(X))
        self._batches = np.array_split(X, options.batches)
        self._singles = [X[i * len(X) // n][None] for i in range(n)]
        self._n_singles = options.singles

    def half(self, which: int) -> _Spent:
        """Every second batch and row."""
        marks = [perf_counter()]
        for batch in self._batches[which::2]:
            self._predictor.predict(batch, verbose=True)
        marks.append(perf_counter())
        for position in range(which, self._n_singles, 2):
            self._predictor.predict(self._singles[position % len(self._singles)], verbose=False)
        marks.append(perf_counter())
        return _Spent(marks[1] - marks[0], marks[2] - marks[1])


def _train(root: Path, rows: Any, wanted: Configuration) -> Path:
    values = {"k": "100", "predictor_type": "classifier", "sample_size": str(wanted.sample_size)}
    return knn_train(root, values | wanted.values, partial(rows_write, rows), schema=schema_of("csv"))


def _evaluate(folder: Path, stage: ServingStage, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    from endpoints.evaluation.process import run_lines
    from endpoints.evaluation.spec import EvaluationSpec

    (folder / "run").mkdir()
    spec = EvaluationSpec(
        data=str(data),
        schema=schema_of("parquet"),
        socket=str(stage.runs.path),
        token=stage.token,
        project=PROJECT,
        endpoint=ENDPOINT,
        variant="",
        is_classifier=True,
        model_labels=None,
        n_features=len(COLUMNS) - 1,
        feature_names=COLUMNS[:-1],
        result=str(folder / "run" / "predictions.bin"),
        batches=options.batches,
        single_requests=options.singles,
    )
    said: dict[str, Any] = {}
    for line in run_lines(spec, folder / "run", time_limit_s=3600):
        said |= line
    if "summary" not in said:
        raise RuntimeError(f"{said.get('failure')} {said.get('stderr')}")
    import orjson

    return said | {"json": orjson.dumps(said["result"])}


if __name__ == "__main__":
    main()
