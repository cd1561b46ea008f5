"""What a worker tells the job process: one JSON file, `<root>/job.json`. Plain data, imports nothing heavy.

Written by the worker, read by `python -m jobs.runner`. What a SageMaker container reads for itself
(hyperparameters, channels' content types) stays in `input/config`; here is what only our own process needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

FILE_NAME: Final = "job.json"
PARENT_AT_STDIN: Final = -1
"""In the place of a process id: the worker holds the other end of standard input while it lives."""
INPUT_MODES: Final = ("File", "Pipe")


@dataclass(frozen=True, kw_only=True)
class ChannelSpec:
    """How to read one channel.

    Args:
        schema: `TableSchema.to_dict()` of its dataset; None reads as the service does (no header, label
            first).
        content_type: As in the request.
        input_mode: `File` or `Pipe`.
        n_rows: Rows in it, where known: only for the progress shown.
    """

    schema: dict[str, Any] | None = None
    content_type: str = "text/csv"
    input_mode: str = "File"
    n_rows: int | None = None

    def __post_init__(self) -> None:
        if self.input_mode not in INPUT_MODES:
            raise ValueError(
                f"input_mode {self.input_mode!r} is not known; use one of {', '.join(INPUT_MODES)}"
            )


@dataclass(frozen=True, kw_only=True)
class ScriptSpec:
    """What runs a user's script.

    Args:
        framework: Name of `jobs.frameworks`.
        entry_point: Path within the code's folder.
        source_uri: Address of the archive that the code is from.
        python: The interpreter, as the process sees it.
        n_gpus: Of the instance type.
    """

    framework: str
    entry_point: str
    source_uri: str
    python: str
    n_gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One attempt of one job.

    Args:
        uid: Id of the job; `name` is what its people call it.
        root: The `/opt/ml`-shaped folder, as the process sees it.
        memory_limit_bytes: What the worker allows; 0 = no limit. The worker enforces it.
        parent_pid: The worker's process: the job ends when it is gone. 0 = nobody waits for it. PARENT_AT_STDIN
            in a sandbox, from which no process outside can be seen.
        script: The script to run; None for a built-in algorithm.
    """

    uid: str
    name: str
    attempt: int
    algorithm: str
    root: Path
    n_threads: int = 1
    memory_limit_bytes: int = 0
    channels: Mapping[str, ChannelSpec] = field(default_factory=dict)
    parent_pid: int = 0
    script: ScriptSpec | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"root": str(self.root)}, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> JobSpec:
        """Raises ValueError, KeyError or TypeError when it is not a job's description."""
        data: dict[str, Any] = json.loads(text)
        channels = {name: ChannelSpec(**channel) for name, channel in data.pop("channels", {}).items()}
        script = data.pop("script", None)
        return cls(
            **data | {"root": Path(data["root"])},
            channels=channels,
            script=None if script is None else ScriptSpec(**script),
        )

    @classmethod
    def read(cls, path: Path) -> JobSpec:
        return cls.from_json(path.read_text(encoding="utf-8"))

    @property
    def path(self) -> Path:
        """Where the job process looks for it."""
        return self.root / FILE_NAME

    def write(self, folder: Path | None = None) -> Path:
        """Writes it into `root`, or into `folder` where the writer knows that by another name; returns the path."""
        path = (folder or self.root) / FILE_NAME
        path.write_text(self.to_json(), encoding="utf-8")
        return path

    @property
    def model_dir(self) -> Path:
        return self.root / "model"

    @property
    def partial_model_dir(self) -> Path:
        """Where a built-in algorithm writes; becomes `model_dir` when it is complete."""
        return self.root / "model.partial"

    @property
    def output_dir(self) -> Path:
        return self.root / "output"

    @property
    def code_dir(self) -> Path:
        return self.root / "code"

    @property
    def config_dir(self) -> Path:
        return self.root / "input" / "config"

    @property
    def data_dir(self) -> Path:
        return self.root / "input" / "data"

    @property
    def hyperparameters_file(self) -> Path:
        return self.config_dir / "hyperparameters.json"
