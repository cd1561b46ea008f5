"""What a job can reach of the machine, tried from within one: nothing in a sandbox, without one what limits leave."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.runner.isolation import SandboxUnavailable, isolation
from jobs.runner.launch import JobProcess, job_sandbox
from jobs.runner.pack import model_pack
from jobs.runner.sandbox import Sandbox
from jobs.runner.workspace import ChannelSource, Workspace
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.storage.store import ObjectStore
from tests.jobs.runner.scripted import follow, start
from tests.polling import wait_until

MIB = 1024**2
URI = "s3://mlplatform-123456789012/data/one.csv"
both_ways = pytest.mark.usefixtures("either_way")
in_sandbox = pytest.mark.usefixtures("sandboxed")

_TRY = """
import json, os, socket, sys

def outcome(act):
    try:
        return repr(act())[:200]
    except BaseException as error:
        return type(error).__name__

def tcp(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return "connected"

def unix(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        return "connected"

given = json.loads(os.environ["GIVEN_PATHS"])
found = {
    "read": {path: outcome(lambda: open(path, "rb").read()) for path in given["read"]},
    "list": {path: outcome(lambda: os.listdir(path)) for path in given["list"]},
    "write": {path: outcome(lambda: open(os.path.join(path, "mine"), "w").write("x")) for path in given["write"]},
    "tcp": outcome(lambda: tcp(given["port"])),
    "unix": {path: outcome(lambda: unix(path)) for path in given["unix"]},
    "kill": outcome(lambda: os.kill(given["pid"], 9)),
    "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()),
    "root": sorted(os.listdir("/")),
    "status": open("/proc/self/status").read(),
    "uid": os.getuid(),
    "cwd": os.getcwd(),
    "environment": dict(os.environ),
    "descriptors": len(os.listdir("/proc/self/fd")),
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
}
print(json.dumps(found))
"""


class Machine:
    """A data directory like the platform's, with what must stay its own, and something that listens."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "var"
        self.attempt = self.data_dir / "work" / "01MINE-1"
        self.other_job = self.data_dir / "work" / "01OTHER-1"
        self.secrets = {
            self.data_dir / name: f"secret of {name}"
            for name in (
                "secret_key",
                "db.sqlite3",
                "store/bucket/dataset.csv",
                "work/01OTHER-1/model/weights",
            )
        }
        for path, text in self.secrets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        (self.data_dir / "run").mkdir()
        self.redis_path = self.data_dir / "run" / "redis.sock"
        self.redis = socket.socket(socket.AF_UNIX)
        self.redis.bind(str(self.redis_path))
        self.redis.listen()

    def close(self) -> None:
        self.tcp.close()
        self.redis.close()


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    made = Machine(tmp_path_factory.mktemp("m"))
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(made.data_dir))
    monkeypatch.setenv("DATABASE_URL", "postgres://hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    yield made
    made.close()


def _tried(machine: Machine, folder: Path) -> dict:
    workspace = Workspace(folder / "attempt")
    workspace.make()
    asked = {
        "read": [*map(str, machine.secrets), "/etc/shadow", "/etc/passwd", str(PROJECT_ROOT / "manage.py")],
        "list": [str(machine.data_dir), str(machine.other_job), "/home", str(Path.home()), str(PROJECT_ROOT / "var")],
        "write": ["/opt/ml/model", "/opt/ml", "/tmp", "/dev/shm", "/opt/ml/input", "/", "/dev", "/usr", "/opt", "/proc",
                  str(PROJECT_ROOT / "jobs"), sys.prefix, str(machine.data_dir)],
        "port": machine.tcp.getsockname()[1],
        "unix": [str(machine.redis_path)],
        "pid": os.getpid(),
    }  # fmt: skip
    process = start(workspace, _TRY, environment={"GIVEN_PATHS": json.dumps(asked)})
    said, returncode = _ended(process)
    assert returncode == 0, said
    found: dict = json.loads(said)
    return found


def _ended(process: JobProcess) -> tuple[str, int]:
    """What it printed and how it ended."""
    with process.output:
        said = process.output.read().decode()
        wait_until(process.exited, what="the end of the job")
        process.kill()
        return said, process.reap()


@in_sandbox
def test_a_job_reaches_nothing_but_its_own_folder(machine: Machine, tmp_path: Path) -> None:
    found = _tried(machine, tmp_path)
    assert set(found["read"].values()) == {"FileNotFoundError"}, found["read"]
    home = found["list"].pop(str(Path.home()))
    assert set(found["list"].values()) == {"FileNotFoundError"}, found["list"]
    assert home == "FileNotFoundError" or home.count(",") == 0, "at most the way to the interpreter"
    written = {path for path, what in found["write"].items() if what == "1"}
    assert written == {"/opt/ml/model", "/opt/ml", "/tmp", "/dev/shm"}, found["write"]
    assert found["tcp"] in {"ConnectionRefusedError", "OSError"}
    assert found["interfaces"] == ["lo"]
    assert set(found["unix"].values()) == {"FileNotFoundError"}
    assert found["kill"] == "ProcessLookupError"
    assert len(found["pids"]) == 2, "its own process and the first of its namespace"
    assert not {"home", "mnt", "srv", "var", "run", "boot"} & set(found["root"])
    assert found["cwd"] == "/opt/ml"
    assert found["descriptors"] == 4, "standard streams, and the folder just listed"
    assert "hush" not in json.dumps(found["environment"])
    status = dict(line.split(":\t", 1) for line in found["status"].splitlines() if ":\t" in line)
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    if os.geteuid() == 0:
        assert found["uid"] >= 61184
        assert int(status["CapBnd"], 16) == 0


def test_without_a_sandbox_a_job_keeps_no_secret_in_its_environment(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPLATFORM_SANDBOX", "off")
    done = follow(tmp_path, "import os; print(dict(os.environ))")
    assert "hush" not in "\n".join(done.lines)


@both_ways
def test_two_jobs_do_not_see_one_another(tmp_path: Path, either_way: str) -> None:
    first = Workspace(tmp_path / "first")
    first.make()
    process = start(
        first, "import time\nopen('model/w', 'w').write('mine')\nprint('on', flush=True)\ntime.sleep(600)"
    )
    assert process.output.readline() == b"on\n"
    done = follow(
        tmp_path,
        f"""
        import os
        n_seen = sum(name.isdecimal() for name in os.listdir("/proc"))
        print(n_seen, os.path.exists({str(first.model_dir / "w")!r}))
        """,
    )
    process.kill()
    _ended(process)
    n_seen, sees_model = done.lines[0].split()
    if either_way == "bubblewrap":
        assert (n_seen, sees_model) == ("2", "False")
    else:
        assert int(n_seen) > 2


@both_ways
def test_an_input_cannot_be_changed_in_the_store(tmp_path: Path, either_way: str) -> None:
    """The file of a channel may be the object itself, by hard link."""
    store = ObjectStore(f"file://{tmp_path / 'store'}")
    store.put_bytes(b"1,2\n3,4\n", URI)
    workspace = Workspace(tmp_path / "attempt")
    workspace.make()
    workspace.place(ChannelSource("train", (URI,), "text/csv", "File", ".csv"), store)
    placed = workspace.root / "input" / "data" / "train" / "part-00000.csv"
    assert stat.S_IMODE(placed.stat().st_mode) & 0o222 == 0 or placed.stat().st_nlink == 1
    process = start(
        workspace,
        """
        import os
        path = "input/data/train/part-00000.csv"
        print(open(path).read().split())
        for act in (lambda: open(path, "w").write("x"), lambda: os.chmod(path, 0o666), lambda: os.unlink(path),
                    lambda: os.link(path, "model/copy"), lambda: os.rename("input", "mine")):
            try:
                act(); print("done")
            except OSError as error:
                print(type(error).__name__, error.errno)
        """,
    )
    said, _ = _ended(process)
    assert said.startswith("['1,2', '3,4']"), said
    if either_way == "bubblewrap":
        assert "done" not in said
    if either_way == "bubblewrap" or os.geteuid() != 0:
        assert store.get_bytes(URI) == b"1,2\n3,4\n"


@in_sandbox
def test_a_program_that_was_never_started_is_a_fault_of_the_platform(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "attempt")
    workspace.make()
    (workspace.root / "tmp" / "shm").rmdir()
    with pytest.raises(OSError, match="the sandbox could not be set up: bwrap: Can't find source path"):
        process = start(workspace, "print('never')")
        wait_until(process.exited, what="the end of bubblewrap")
        with process.output:
            process.reap()


@both_ways
def test_links_that_a_job_leaves_lead_the_platform_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "failure.json").write_text(json.dumps({"kind": "client_error", "message": "SECRET"}))
    (secret / "weights").write_text("SECRET")
    done = follow(
        tmp_path,
        f"""
        import os, shutil
        os.symlink({str(secret / "weights")!r}, "model/weights")
        os.symlink({str(secret)!r}, "model/folder")
        open("model/real", "w").write("mine")
        shutil.rmtree("output"); os.symlink({str(secret)!r}, "output")
        shutil.rmtree("checkpoints"); os.symlink({str(secret)!r}, "checkpoints")
        raise SystemExit(4)
        """,
    )
    assert done.outcome.failure is not None
    assert "SECRET" not in json.dumps(done.outcome.failure)
    root = done.workspace.root
    packed = model_pack(model_dir=root / "model", archive=done.workspace.private_dir() / "m.tar.gz", facts={})
    assert list(packed.manifest["files"]) == ["real"]
    assert packed.left_out == ("folder", "weights")


@both_ways
def test_a_link_in_the_place_of_the_model_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "dataset.csv").write_text("SECRET")
    done = follow(tmp_path, f"import os; os.rmdir('model'); os.symlink({str(tmp_path / 'store')!r}, 'model')")
    assert done.outcome.failure is not None
    assert done.outcome.failure["kind"] == "NoModel"
    packed = model_pack(
        model_dir=done.workspace.model_dir, archive=done.workspace.private_dir() / "m.tar.gz", facts={}
    )
    assert (packed.manifest["files"], packed.left_out) == ({}, ("model",))


@in_sandbox
def test_a_sandbox_costs_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quickest of several, with and without. On an idle machine 4 to 8 ms; the bar leaves room for a busy one."""

    def least_s(mode: str) -> float:
        monkeypatch.setenv("MLPLATFORM_SANDBOX", mode)
        workspace = Workspace(tmp_path / mode)
        workspace.make()
        argv = job_sandbox(root=workspace.root).argv(["/bin/true"])
        times = []
        for _ in range(15):
            begun = time.perf_counter()
            subprocess.run(argv, check=True, cwd=workspace.root)
            times.append(time.perf_counter() - begun)
        return min(times)

    assert least_s("bubblewrap") - least_s("off") < 0.1


def test_the_setting_is_obeyed_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLPLATFORM_SANDBOX", "off")
    assert not isolation().enclosed
    assert Sandbox().inside(Path("/x")) == Path("/x")
    monkeypatch.setenv("MLPLATFORM_SANDBOX", "docker")
    with pytest.raises(SandboxUnavailable, match="'docker' is not known; use one of auto, bubblewrap, off"):
        isolation()
    without = {**os.environ, "PATH": str(tmp_path), "MLPLATFORM_SANDBOX": "bubblewrap"}
    asked = "from jobs.runner.isolation import isolation\nprint(isolation().report())"
    refused = subprocess.run(
        [sys.executable, "-c", asked], env=without, cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert "bubblewrap is not installed: install it (apt-get install bubblewrap)" in refused.stderr
    told = subprocess.run(
        [sys.executable, "-c", asked],
        env={**without, "MLPLATFORM_SANDBOX": "auto"},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    assert "'sandbox': 'off'" in told.stdout
    assert "'sandbox_missing': True" in told.stdout
