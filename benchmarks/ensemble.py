"""The ensemble as one job process against two separate job processes, one after the other: wall time and bytes read.

    python -m benchmarks.ensemble [--rounds 5] [--folds 5] [--rows 442] [--trees 100] [--threads 2]

Data: scikit-learn's diabetes set, through a named pipe, so that what a job reads of it is counted where it is written.
`plain`: xgboost and catboost as jobs of their own against the ensemble without cross-validation. `cross-validated`: two
jobs with one member each against the ensemble of both, all with the same folds. Every job has as many threads as one of
`local.cpu` has here, or `--threads`; the sides take turns, so that a busy machine is as busy for either. The blend's
answers are compared with the mean of the two plain models'. Bars: the ensemble takes at most 0.75 of the wall time and
reads at most 0.5 of the bytes. One job saves the start of a process and the reading, and where it has several threads
its members are fitted beside each other. With `--threads 1` cross-validation is fitting alone, of which it saves
nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np
from sklearn.datasets import load_diabetes

from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from jobs.algorithms.registry import algorithm_get
from jobs.instance_types import instance_type_get
from jobs.runner.launch import job_environment
from jobs.runner.spec import ChannelSpec, JobSpec

WALL_BAR: Final = 0.75
BYTES_BAR: Final = 0.5

Job = tuple[str, Mapping[str, str]]
"""An algorithm and its hyperparameters."""


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=442, help="more than 442: the rows again, with noise")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--threads", type=int, default=instance_type_get("local.cpu").vcpus)
    options = parser.parse_args()
    X, y = _rows(options.rows)
    text = "".join(",".join(f"{cell:.9g}" for cell in row) + "\n" for row in np.column_stack((y, X)).tolist())
    print(
        f"{len(X)} rows, {X.shape[1]} features, {len(text):,} bytes, {options.trees} trees a member, "
        f"{options.threads} threads a job"
    )
    own = {"xgboost": {"num_round": str(options.trees)}, "catboost": {"iterations": str(options.trees)}}
    of_member = {
        kind: {f"{kind}__{name}": value for name, value in values.items()} for kind, values in own.items()
    }
    both = {"task": "regressor", "members": ",".join(own), **of_member["xgboost"], **of_member["catboost"]}
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        root = Path(folder)
        plain: list[Job] = [("ensemble", {**both, "n_folds": "0"})]
        _compare(root / "plain", text, plain, list(own.items()), options)
        _agree(root / "plain", X)
        folds = str(options.folds)
        separate: list[Job] = [
            ("ensemble", {"task": "regressor", "members": kind, "n_folds": folds, **values})
            for kind, values in of_member.items()
        ]
        together: list[Job] = [("ensemble", {**both, "n_folds": folds})]
        _compare(root / "cross-validated", text, together, separate, options)


def _rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    repeated = np.resize(np.arange(len(X)), n)
    noise = np.random.default_rng(0).normal(scale=0.01, size=(n, X.shape[1]))
    noise[: len(X)] = 0
    return (X[repeated] + noise).astype(np.float32), y[repeated].astype(np.float32)


def _compare(root: Path, text: str, one: Sequence[Job], two: Sequence[Job], options: Namespace) -> None:
    walls: dict[str, list[float]] = {"one": [], "two": []}
    n_bytes = {"one": 0, "two": 0}
    for turn in range(options.rounds):
        for side, jobs in (("one", one), ("two", two)):
            began_at = perf_counter()
            n_bytes[side] = sum(
                _run(root / side / str(turn) / str(number), job, text, n_threads=options.threads)
                for number, job in enumerate(jobs)
            )
            walls[side].append(perf_counter() - began_at)
    wall, read = median(walls["one"]) / median(walls["two"]), n_bytes["one"] / n_bytes["two"]
    print(
        f"{root.name:16} one job {median(walls['one']):.2f} s, {n_bytes['one']:,} bytes; "
        f"two jobs {median(walls['two']):.2f} s, {n_bytes['two']:,} bytes"
    )
    verdict(f"{root.name}: wall time of one job to that of two", wall, WALL_BAR)
    verdict(f"{root.name}: bytes read by one job to those by two", read, BYTES_BAR)


def _run(root: Path, job: Job, text: str, *, n_threads: int) -> int:
    """One job process from start to end. Returns how many bytes of the channel it took."""
    for folder in ("input/config", "input/data", "model", "output/data", "tmp"):
        (root / folder).mkdir(parents=True)
    algorithm, values = job
    spec = JobSpec(
        uid="01BENCH",
        name="benchmark",
        attempt=1,
        algorithm=algorithm,
        root=root,
        n_threads=n_threads,
        channels={"train": ChannelSpec(schema=None, input_mode="Pipe")},
    )
    spec.hyperparameters_file.write_text(json.dumps(dict(values)))
    spec.write()
    pipe = root / "input" / "data" / "train_0"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.runner", str(root / "job.json")],
        cwd=root,
        env=job_environment(folder=root, job_name="benchmark", job_arn="arn", given={}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    with pipe.open("wb") as file:
        n_written = file.write(text.encode())
    if process.wait() != 0:
        sys.exit(f"{algorithm} failed: {(root / 'output' / 'failure').read_text()}")
    return n_written


def _agree(root: Path, X: np.ndarray) -> None:
    blend = algorithm_get("ensemble").engine_load().load(root / "one/0/0/model", n_threads=1).predict(X)
    alone = [
        algorithm_get(kind).engine_load().load(root / f"two/0/{number}/model", n_threads=1).predict(X)
        for number, kind in enumerate(("xgboost", "catboost"))
    ]
    difference = np.abs(blend["score"] - np.mean([one["score"] for one in alone], axis=0))
    print(
        f"{'':16} the blend differs from the mean of the two jobs' models by {difference.max():.3g} at most"
    )


if __name__ == "__main__":
    main()
