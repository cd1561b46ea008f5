"""A model server in a process of its own, as a host starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from mlplatform.core.env import PROJECT_ROOT
from tests.endpoints.loop_thread import RawClient, poll


class ReplicaProcess:
    """Starts `python -m endpoints.serving` on `socket`; ended by leaving the `with`."""

    def __init__(
        self, socket: Path, model_dir: Path, options: Sequence[str], *, parent_pid: int | None = None
    ) -> None:
        self.socket = socket
        self.log_file = model_dir / f"{socket.name}.log"
        command = [
            sys.executable,
            "-m",
            "endpoints.serving",
            "--socket",
            str(socket),
            "--model-dir",
            str(model_dir),
        ]
        command += ["--parent-pid", str(os.getpid() if parent_pid is None else parent_pid), *options]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=PROJECT_ROOT)

    def __enter__(self) -> ReplicaProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(10)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_ready(self) -> ReplicaProcess:
        poll(lambda: "serving on" in self.log or self.process.poll() is not None, 20)
        assert self.process.poll() is None, self.log
        return self

    def client(self) -> RawClient:
        return RawClient(str(self.socket))

    def invoke(
        self, body: bytes, kind: str = "text/csv", *, extra: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        head = f"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: {kind}\r\n{extra}"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        with self.client() as client:
            client.send(head.encode() + body)
            return client.answer()


def linear(
    folder: Path, weights: Sequence[float] = (1, 10), *, pause_s: float = 0.0, gate: Path | None = None
) -> list[str]:
    """Writes a linear model's artifact; answers with the options that load it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.json").write_text(
        json.dumps({"weights": list(weights), "pause_s": pause_s, "gate": str(gate or "")})
    )
    return ["--engine", "tests.endpoints.serving.engines:Linear"]
