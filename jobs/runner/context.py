"""The world an algorithm sees while it trains: `TrainingContext` over the job's `/opt/ml`-shaped folder."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from jobs.algorithms.base import LIBSVM, AlgorithmSpec, ChannelInput, DataFacts
from jobs.runner.channels import TableChannel
from jobs.runner.model_facts import model_facts_write
from jobs.runner.process import StopSignal
from jobs.runner.sparse_channel import SparseChannel
from jobs.runner.spec import ChannelSpec, JobSpec
from mlplatform.core.errors import InvalidRequest

_PROGRESS_EVERY_S: Final = 1.0
_LEAP_PERCENT: Final = 20


class TrainingLog:
    """Lines in the service's own form on standard output: `[MM/DD/YYYY HH:MM:SS INFO <thread>] text`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def line(self, message: str, *, level: str = "INFO") -> None:
        now = datetime.now().strftime("%m/%d/%Y %H:%M:%S")
        self._stream.write(f"[{now} {level} {threading.get_ident()}] {message}\n")
        self._stream.flush()


class JobContext:
    """Satisfies `jobs.algorithms.base.TrainingContext` for one attempt of one job."""

    host = "algo-1"

    def __init__(self, job: JobSpec, algorithm: AlgorithmSpec, log: TrainingLog, stop: StopSignal) -> None:
        self.model_dir: Path = job.partial_model_dir
        self.output_dir: Path = job.output_dir / "data"
        self.n_threads = job.n_threads
        self.hyperparameters = hyperparameters_read(job, algorithm, log)
        self.channels: Mapping[str, ChannelInput] = channels_open(job, algorithm)
        self._facts_dir = job.output_dir
        self._algorithm = algorithm
        self._log = log
        self._stop = stop
        self._progress_at = -_PROGRESS_EVERY_S
        self._percent = -1
        for folder in (self.model_dir, self.output_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def log(self, message: str, *, level: str = "INFO") -> None:
        self._log.line(message, level=level)

    def progress(self, fraction: float) -> None:
        """Logs the service's `#progress_metric`: once a second at most, but always a leap and the end."""
        percent = int(100 * min(1.0, max(0.0, fraction)))
        now = time.monotonic()
        is_soon = now - self._progress_at < _PROGRESS_EVERY_S
        if percent <= self._percent or (is_soon and percent < min(100, self._percent + _LEAP_PERCENT)):
            return
        self._percent, self._progress_at = percent, now
        self.log(f"#progress_metric: host={self.host}, completed {percent} % of epochs")

    def check(self, facts: DataFacts) -> None:
        self._algorithm.check(self.hyperparameters, facts)

    def model_facts(self, facts: Mapping[str, Any]) -> None:
        model_facts_write(facts, self._facts_dir)

    def stop_requested(self) -> bool:
        return self._stop.requested

    def check_stop(self) -> None:
        self._stop.check()


def hyperparameters_read(job: JobSpec, algorithm: AlgorithmSpec, log: TrainingLog) -> dict[str, Any]:
    """The typed hyperparameters of `input/config/hyperparameters.json`, logged as the service logs them.

    Raises:
        InvalidRequest: One that is unknown or out of range.
    """
    defaults = {
        declared.name: str(declared.default)
        for declared in algorithm.hyperparameters
        if declared.default is not None
    }
    log.line(f"Reading default configuration from {algorithm.name}/default-conf.json: {json.dumps(defaults)}")
    given = json.loads(job.hyperparameters_file.read_text(encoding="utf-8"))
    log.line(
        "Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: "
        + json.dumps(given, ensure_ascii=False)
    )
    final = json.dumps({**defaults, **given}, ensure_ascii=False)
    log.line(f"Final configuration: {final}")
    return algorithm.validate(given)


def channels_open(job: JobSpec, algorithm: AlgorithmSpec) -> dict[str, ChannelInput]:
    """The channels of the job. Raises InvalidRequest for one that the algorithm has not, or misses."""
    declared = {channel.name: channel for channel in algorithm.channels}
    for name in job.channels:
        if name not in declared:
            raise InvalidRequest.for_field(
                f"channels.{name}", f"{algorithm.name} has no such channel; use {', '.join(declared)}"
            )
    for name, channel in declared.items():
        if channel.required and name not in job.channels:
            raise InvalidRequest.for_field(f"channels.{name}", f"is required by {algorithm.name}")
    found: dict[str, TableChannel] = {}
    for name, spec in job.channels.items():
        found[name] = _channel_open(name, spec, job, algorithm, found.get("train"))
    return dict(found)


def _channel_open(
    name: str, spec: ChannelSpec, job: JobSpec, algorithm: AlgorithmSpec, train: TableChannel | None
) -> TableChannel:
    if spec.content_type.partition(";")[0] not in LIBSVM:
        return TableChannel(name, spec, data_dir=job.data_dir)
    absent = math.nan if algorithm.absent == "missing" else 0.0
    like = train if isinstance(train, SparseChannel) else None
    return SparseChannel(name, spec, data_dir=job.data_dir, absent=absent, like=like)
