"""An `/opt/ml`-shaped folder with small data, and real job processes run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.runner.launch import job_environment
from jobs.runner.spec import ChannelSpec, JobSpec
from tests.forking import N_THREADS, forking

TIMEOUT_S = 120


def csv_text(X: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    """As the service has it: no header, label first."""
    rows = np.column_stack((y, X)).tolist()
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows)


@dataclass
class JobFolder:
    """What a worker would prepare. Channels are CSV text, in File mode unless named in `pipes`."""

    root: Path
    algorithm: str
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, str]
    schemas: Mapping[str, dict] = field(default_factory=dict)
    pipes: frozenset[str] = frozenset()
    n_threads: int = 1

    def prepare(self) -> JobFolder:
        for folder in ("input/config", "input/data", "model", "output/data", "tmp"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.spec().hyperparameters_file.write_text(json.dumps(dict(self.hyperparameters)))
        for name, text in self.channels.items():
            if name in self.pipes:
                os.mkfifo(self.pipe(name))
            else:
                folder = self.root / "input" / "data" / name
                folder.mkdir(exist_ok=True)
                (folder / "part-00000.csv").write_text(text)
        self.spec().write()
        return self

    def spec(self) -> JobSpec:
        channels = {
            name: ChannelSpec(
                schema=self.schemas.get(name), input_mode="Pipe" if name in self.pipes else "File"
            )
            for name in self.channels
        }
        return JobSpec(
            uid="01TESTJOB",
            name="test-job",
            attempt=1,
            algorithm=self.algorithm,
            root=self.root,
            n_threads=self.n_threads,
            channels=channels,
        )

    def pipe(self, channel: str) -> Path:
        return self.root / "input" / "data" / f"{channel}_0"

    def environment(self, **given: str) -> dict[str, str]:
        """As a worker sets it, with the variables that the job's owner gave."""
        return job_environment(folder=self.root, job_name="test-job", job_arn="arn", given=given)

    def start(self) -> subprocess.Popen[str]:
        """The process, its standard output line by line; feed the pipes with `feed`."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.runner", str(self.root / "job.json")],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def feed(self) -> None:
        """Writes each pipe's channel, in the order of the channels."""
        for name in self.channels:
            if name in self.pipes:
                self.pipe(name).write_text(self.channels[name])

    def run(self, *, anew: bool = False) -> JobResult:
        """How it ends in a process that has imported its libraries ahead; with several threads, in a new one.

        Args:
            anew: In a new one in any case: what forks from one process has its hashes and its library's random state.
        """
        if anew or self.n_threads != N_THREADS:
            process = self.start()
            self.feed()
            said = process.communicate(timeout=TIMEOUT_S)
            return JobResult(self.root, process.returncode, *said)
        ended = forking(self.algorithm).run(
            "jobs.runner",
            [str(self.root / "job.json")],
            folder=self.root,
            environment=self.environment(),
            meanwhile=self.feed,
            timeout_s=TIMEOUT_S,
        )
        return JobResult(self.root, ended.returncode, ended.out.decode(), ended.err.decode())


@dataclass(frozen=True)
class JobResult:
    """How a job process ended."""

    root: Path
    returncode: int
    out: str
    err: str

    @property
    def model_dir(self) -> Path:
        return self.root / "model"

    @property
    def model_files(self) -> list[str]:
        """Paths in the model's folder, those in folders of it too."""
        found = (path for path in self.model_dir.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.model_dir)) for path in found)

    @property
    def failure(self) -> dict:
        return json.loads((self.root / "output" / "failure.json").read_text())

    @property
    def failure_text(self) -> str:
        return (self.root / "output" / "failure").read_text().strip()
