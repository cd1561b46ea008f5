"""Every way in which a script can end badly: told apart, with its own file and line, and with nothing left running."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest

from jobs.models import TrainingJob
from jobs.runner import follow
from jobs.runner.disk_use import folders_bytes, folders_look
from jobs.services import execution
from jobs.services.clearing import attempt_dir
from jobs.services.scripts import ScriptRequest, _syntax_error, script_check
from jobs.services.training import training_job_stop
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.people.access import Actor
from mlplatform.core.status import FailureKind
from tests.faults.stage import job_processes, until_gone
from tests.jobs.scripts.stage import SAVE, archive_names, log_of, run, script_job, texts
from tests.jobs.training.cast import Cast, store_path
from tests.jobs.training.scripts import Running
from tests.polling import wait_until

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Bad:
    """`reason` and `log` are parts of what is said; `files` are further files of the source."""

    script: str
    kind: FailureKind
    reason: str
    exit_code: int | None = 1
    files: tuple[tuple[str, str], ...] = ()
    log: str = ""


DEEP = "def f(n):\n    return f(n - 1) if n else 1 / 0\n\n\nf(3)\n"
BAD = {
    "an exception in a module of its own": Bad(
        "import lib.deep\n",
        FailureKind.EXCEPTION,
        "ZeroDivisionError: division by zero (lib/deep.py, line 2)",
        files=(("lib/deep.py", DEEP),),
        log='lib/deep.py", line 2, in f',
    ),
    "an import of what is not there": Bad(
        "import os\nimport nowhere_at_all\n",
        FailureKind.EXCEPTION,
        "ModuleNotFoundError: No module named 'nowhere_at_all' (train.py, line 2)",
        log="line 2, in <module>",
    ),
    "a syntax error in what it imports": Bad(
        "import helper\n",
        FailureKind.EXCEPTION,
        "(helper.py, line 2)",
        files=(("helper.py", "a = 1\ndef (:\n"),),
        log="SyntaxError",
    ),
    "its own exit code": Bad(
        "import sys; sys.exit(3)", FailureKind.EXCEPTION, "exit code 3, and printed nothing", exit_code=3
    ),
    "its own words": Bad(
        "open('/opt/ml/output/failure', 'w').write('AlgorithmError: the loss is not finite'); raise SystemExit(1)",
        FailureKind.ALGORITHM_ERROR,
        "the loss is not finite",
    ),
    "its own words without a kind": Bad(
        "open('/opt/ml/output/failure', 'w').write('no rows in ' + 'x' * 2000); raise SystemExit(9)",
        FailureKind.EXCEPTION,
        "no rows in xxx",
        exit_code=9,
    ),
    "no model": Bad(
        f"print('done')\n#{SAVE}", FailureKind.NO_MODEL, "wrote no file into the model folder", 0
    ),
    "no network": Bad(
        "import urllib.request\nurllib.request.urlopen('http://somewhere.invalid/')\n",
        FailureKind.EXCEPTION,
        "an operator allows it with MLPLATFORM_SCRIPT_NETWORK=1",
    ),
    "bytes that are no text": Bad(
        "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 40 + b'\\n\\xff\\xfe end\\n')\nsys.exit(2)\n",
        FailureKind.EXCEPTION,
        "exit code 2",
        exit_code=2,
        log="end",
    ),
    "argparse": Bad(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--known')\np.parse_args()\n",
        FailureKind.EXCEPTION,
        "unrecognized arguments: --alpha 1",
        exit_code=2,
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_script_that_ends_badly(threads_cast: Cast, worker: WorkerState, bad: Bad) -> None:
    files = texts(train_py=bad.script) | {path: text.encode() for path, text in bad.files}
    job = run(script_job(threads_cast.alice, files, hyperparameters={"alpha": 1}), worker)
    assert job.status == "Failed" and job.failure is not None
    assert bad.reason in job.failure["reason"], job.failure
    assert (job.failure["kind"], job.failure["exit_code"]) == (bad.kind.value, bad.exit_code)
    assert len(job.failure["reason"]) <= 1024
    assert bad.log in log_of(job)
    if ".py" in bad.log:
        assert bad.log in job.failure["detail"]
    until_gone(job_processes(job))


def test_what_it_forked_ends_with_it(threads_cast: Cast, worker: WorkerState) -> None:
    script = f"""
        import os, sys, time
        {SAVE}
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    time.sleep(0.1)
            os._exit(0)
    """
    job = run(script_job(threads_cast.alice, texts(train_py=script)), worker)
    assert job.status == "Completed", log_of(job)
    until_gone(job_processes(job))
    assert not attempt_dir(uid=job.uid, attempt=1).exists()


def test_one_that_ignores_the_request_to_stop(
    threads_cast: Cast, worker: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed after its grace time; what it left in `output/data` is kept."""
    script = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/seen.txt", "w").write("x")
        print("deaf", flush=True)
        while True: time.sleep(0.05)
    """
    limits: Any = execution.Limits
    monkeypatch.setattr(execution, "Limits", lambda **given: limits(**given, grace_s=0.5))
    job = script_job(threads_cast.alice, texts(train_py=script))
    running = Running(job, worker, execution.PROGRAM)
    wait_until(lambda: "deaf" in log_of(TrainingJob.objects.get(pk=job.pk)), what="its first line")
    training_job_stop(actor=threads_cast.alice, name=job.name)
    ended = running.end()
    assert (ended.status, ended.artifact_uri) == ("Stopped", "")
    assert ended.output_uri and ended.output_bytes
    until_gone(job_processes(job))


def test_one_that_writes_more_than_a_job_may(
    threads_cast: Cast, worker: WorkerState, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MLPLATFORM_JOB_DISK_BYTES = 4 * 1024**2
    monkeypatch.setattr(follow, "DISK_EVERY_S", 0.1)
    script = """
        import os, time
        with open(os.environ["SM_MODEL_DIR"] + "/large", "wb") as file:
            while True:
                file.write(os.urandom(1024**2))
                file.flush()
                time.sleep(0.02)
    """
    job = run(script_job(threads_cast.alice, texts(train_py=script)), worker)
    assert job.status == "Failed" and job.failure is not None
    assert job.failure["kind"] == FailureKind.STORAGE_FULL
    assert "more than the 4 MiB that a job may have on disk" in job.failure["reason"]
    assert job.artifact_uri == ""
    until_gone(job_processes(job))


def test_one_that_leaves_what_nobody_can_walk_through(
    threads_cast: Cast, worker: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders in one another without end, and links in the place of folders: its job ends well, nothing is left."""
    monkeypatch.setattr(follow, "DISK_EVERY_S", 0.1)
    script = f"""
        import os, time
        {SAVE}
        os.rename("/opt/ml/output", "/opt/ml/output.was"); os.symlink("/", "/opt/ml/output")
        for top in ("model", "checkpoints", "output.was"):
            os.chdir("/opt/ml/" + top)
            for _ in range(1500):
                os.mkdir("d"); os.chdir("d")
        time.sleep(0.5)
    """
    job = run(script_job(threads_cast.alice, texts(train_py=script)), worker)
    assert job.status == "Completed" and job.output_uri == "", log_of(job)
    assert archive_names(job.artifact_uri) == ["manifest.json", "weights"]
    assert not attempt_dir(uid=job.uid, attempt=1).exists()


def test_an_archive_that_is_another_now(threads_cast: Cast, worker: WorkerState) -> None:
    job = script_job(threads_cast.alice, texts(train_py=SAVE))
    assert job.source is not None
    path = store_path(job.source.uri)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-9])
    _syntax_error.cache_clear()
    with pytest.raises(InvalidRequest, match="not the one that was taken in"):
        _again(threads_cast.alice, job)
    ended = run(job, worker)
    assert ended.failure is not None and ended.failure["kind"] == FailureKind.CLIENT_ERROR
    assert "is not the one that was taken in" in ended.failure["reason"]


def _again(actor: Actor, job: TrainingJob) -> None:
    assert job.source is not None
    script_check(
        actor=actor, script=ScriptRequest(framework="python", entry_point="train.py", source=job.source.uid)
    )


def test_a_large_folder_is_measured_while_it_changes(tmp_path: Any) -> None:
    ended = threading.Event()

    def churn() -> None:
        while not ended.is_set():
            (tmp_path / "here").write_bytes(b"x" * 100_000)
            (tmp_path / "here").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        assert folders_bytes(folders_look([tmp_path])) in range(500_000)
    ended.set()
    thread.join()
    (tmp_path / "kept").write_bytes(b"x" * 500_000)
    (tmp_path / "root").symlink_to("/")
    folders = [tmp_path, tmp_path / "nowhere", tmp_path / "root"]
    assert folders_bytes(folders_look(folders)) in range(500_000, 700_000)
