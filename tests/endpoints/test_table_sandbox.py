"""What a table run sees of the machine, looked at from outside while it waits for an answer; and that it survives the
gateway's being started again.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from endpoints.evaluation.process import run_lines
from endpoints.evaluation.spec import TableSpec
from mlplatform.core.env import gateway_socket, runs_socket, runtime_dir
from tests.child_processes import below_me
from tests.endpoints.evaluation.test_table import SCHEMA, SumServer
from tests.polling import wait_until
from tests.sandboxes import either_way, sandboxed

__all__ = ["either_way", "sandboxed"]
N_ROWS = 1_200


@pytest.fixture(autouse=True)
def platform_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory with a short path, and in it the folders of sockets as the gateway makes them."""
    with tempfile.TemporaryDirectory(prefix="mlp-") as folder:
        monkeypatch.setenv("MLPLATFORM_DATA_DIR", folder)
        for name in ("gateway", "runs"):
            (runtime_dir() / name).mkdir(parents=True)
            (runtime_dir() / f"{name}.sock").symlink_to(f"{name}/{name}.sock")
        yield Path(folder)


@contextmanager
def gateway_standing_in() -> Iterator[SumServer]:
    """Takes calls where a run looks for the gateway."""
    with SumServer(runs_socket()) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
            runs_socket().unlink()


@pytest.fixture
def spec(tmp_path: Path) -> TableSpec:
    (tmp_path / "data.csv").write_text("a,b,y\n" + "1,2,3\n" * N_ROWS)
    (tmp_path / "run").mkdir()
    return TableSpec(
        data=str(tmp_path / "data.csv"),
        schema=SCHEMA.to_dict(),
        socket=str(runs_socket()),
        token="claim.signature",
        project="flowers",
        endpoint="sums",
        variant="",
        is_classifier=False,
        model_labels=None,
        n_features=2,
        feature_names=None,
        result=str(tmp_path / "run" / "rows.jsonl"),
    )


def _lines(spec: TableSpec) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for line in run_lines(spec, Path(spec.result).parent, time_limit_s=60):
        said |= line
    return said


def test_a_table_run_sees_its_table_and_the_socket_of_runs_only(sandboxed: None, spec: TableSpec) -> None:
    gateway_socket().touch()
    with ThreadPoolExecutor(1) as worker, gateway_standing_in() as gateway:
        gateway.gate.clear()
        done = worker.submit(_lines, spec)
        try:
            wait_until(lambda: bool(gateway.targets), what="the run's first request")
            [process] = [
                child for child, line in below_me("endpoints.evaluation") if "python" in Path(line[0]).name
            ]
            root = Path(f"/proc/{process.pid}/root")
            assert sorted(path.name for path in (root / "run").iterdir()) == ["runs"]
            assert sorted(path.name for path in (root / "run/runs").iterdir()) == ["runs.sock"]
            for hidden in (runtime_dir(), gateway_socket(), runs_socket()):
                assert not (root / hidden.relative_to("/")).exists(), hidden
            assert Path(f"/proc/{process.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        finally:
            gateway.gate.set()
        assert done.result(60)["summary"]["n_rows"] == N_ROWS
    assert set(gateway.authorizations) == {"Run claim.signature"}


def test_a_table_run_goes_on_with_a_gateway_that_was_started_again(either_way: str, spec: TableSpec) -> None:
    with ThreadPoolExecutor(1) as worker:
        with gateway_standing_in() as first:
            first.gate.clear()
            done = worker.submit(_lines, spec)
            wait_until(lambda: bool(first.targets), what="the run's first request")
            first.hang_up = True
            first.gate.set()
        with gateway_standing_in() as second:
            assert done.result(60)["summary"]["n_rows"] == N_ROWS
        assert len(second.bodies) >= 2
