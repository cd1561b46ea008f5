"""The job process beyond what every algorithm promises: start, environment, parent, failures, stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.runner.failure import failure_from
from jobs.runner.spec import ChannelSpec, JobSpec
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import DataError, InvalidRequest
from tests.contracts.job_folder import JobFolder
from tests.polling import wait_until

ROWS = "".join(f"{row % 2},{row},{row % 7}\n" for row in range(40))
KNN = {"k": "1", "predictor_type": "classifier", "sample_size": "1000"}


def folder(root: Path, **changes) -> JobFolder:
    settings = {"algorithm": "knn", "hyperparameters": KNN, "channels": {"train": ROWS}} | changes
    return JobFolder(root=root, **settings).prepare()


def python(code: str, job: JobFolder, *arguments: str, **given: str) -> subprocess.Popen[str]:
    """A process that runs `code` in a job's environment."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=PROJECT_ROOT,
        env=job.environment(**given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_ends_with_a_model_in_place(tmp_path):
    result = folder(tmp_path).run()
    assert result.returncode == 0, result.err
    names = ["model_algo-1", "model_algo-1.json", "model_algo-1.labels", "model_algo-1.rows"]
    assert result.model_files == names
    assert not (tmp_path / "model.partial").exists()


def test_its_first_line_comes_before_heavy_imports(tmp_path):
    job = folder(tmp_path)
    code = (
        "import sys\n"
        "from jobs.runner import __main__\n"
        "from jobs.runner.context import TrainingLog\n"
        "write = TrainingLog.line\n"
        "def line(self, message, **more):\n"
        "    heavy = {'numpy', 'pyarrow', 'faiss', 'django'} & set(sys.modules)\n"
        "    print('LOADED', sorted(heavy), message)\n"
        "    write(self, message, **more)\n"
        "TrainingLog.line = line\n"
        "sys.exit(__main__.main(sys.argv[1:]))\n"
    )
    out, err = python(code, job, str(tmp_path / "job.json")).communicate(timeout=60)
    assert out.startswith("LOADED [] Training job test-job, attempt 1"), out + err


def test_django_is_never_imported(tmp_path):
    job = folder(tmp_path)
    code = (
        "import sys\nfrom jobs.runner.__main__ import main\ncode = main(sys.argv[1:])\n"
        "print(code, sorted({'django', 'celery', 'rest_framework'} & set(sys.modules)))"
    )
    out, err = python(code, job, str(tmp_path / "job.json")).communicate(timeout=60)
    assert out.splitlines()[-1] == "0 []", out + err


def test_thread_counts_are_those_of_the_job_whatever_its_owner_set(tmp_path):
    code = (
        "from jobs.runner.process import threads_limit\n"
        "threads_limit(3)\n"
        "import os, faiss\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], faiss.omp_get_max_threads(), os.environ['GREETING'])\n"
    )
    process = python(code, folder(tmp_path), OMP_NUM_THREADS="64", GREETING="hello")
    out, err = process.communicate(timeout=60)
    assert out.strip() == "3 3 hello", err


def test_a_job_whose_worker_is_gone_does_nothing(tmp_path):
    job = folder(tmp_path)
    replace(job.spec(), parent_pid=os.getpid() + 1_000_000).write()
    result = job.run()
    assert result.returncode == 1
    assert "worker of this job is gone" in result.err
    assert result.out == ""
    assert result.model_files == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_job_dies_with_its_worker(tmp_path):
    job = folder(tmp_path, pipes=frozenset({"train"}))
    worker = (
        "import json, os, subprocess, sys\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from jobs.runner.spec import JobSpec\n"
        "replace(JobSpec.read(Path(sys.argv[1])), parent_pid=os.getpid()).write()\n"
        "child = subprocess.Popen([sys.executable, '-m', 'jobs.runner', sys.argv[1]], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", worker, str(tmp_path / "job.json")],
        cwd=PROJECT_ROOT,
        env=job.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert _alive(pid)
    process.kill()
    process.communicate()
    wait_until(lambda: not _alive(pid), what="the end of the job")


def test_a_job_is_ended_before_the_platform_when_memory_runs_out(tmp_path):
    job = folder(tmp_path, pipes=frozenset({"train"}))
    process = job.start()
    with job.pipe("train").open("w"):
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == "900"
        process.kill()
        process.communicate()


def test_sigterm_ends_a_job_that_waits_for_a_pipe_nobody_writes(tmp_path):
    job = folder(tmp_path, pipes=frozenset({"train"}))
    process = job.start()
    assert process.stdout is not None
    for line in process.stdout:
        if "Getting reservoir sample" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert list((tmp_path / "model").iterdir()) == []


def test_sigterm_ends_a_job_that_is_busy_in_native_code(tmp_path):
    """The main thread holds on in C without looking at Python's signals; the stop must not wait for it."""
    job = folder(tmp_path)
    code = (
        "import ctypes\n"
        "from jobs.runner.process import StopSignal\n"
        "StopSignal(patience_s=0.1).install()\n"
        "lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n"
        "print('ready', flush=True)\n"
        "libc.pthread_mutex_lock(lock)\n"
        "libc.pthread_mutex_lock(lock)\n"  # waits for itself; no signal ends it
    )
    process = python(code, job)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_a_stop_during_the_last_step_leaves_the_whole_model():
    code = (
        "import os, signal, sys, time\n"
        "from jobs.runner.process import StopSignal\n"
        "stop = StopSignal(patience_s=0)\n"
        "stop.install()\n"
        "with stop.committing():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    deadline = time.monotonic() + 0.3\n"
        "    while time.monotonic() < deadline: pass\n"
        "    print('whole', flush=True)\n"
        "    os._exit(0)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "whole\n"), result.stderr


def test_a_mistake_in_the_algorithm_fails_with_its_traceback(tmp_path):
    job = folder(tmp_path)
    code = (
        "import sys\nfrom jobs.algorithms.knn import engine\n"
        "def broken(*_, **__): raise RuntimeError('index out of order')\n"
        "engine.artifact_write = broken\n"
        "from jobs.runner.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    process = python(code, job, str(tmp_path / "job.json"))
    _, err = process.communicate(timeout=60)
    failure = json.loads((tmp_path / "output" / "failure.json").read_text())
    assert process.returncode == 1
    assert failure["kind"] == "algorithm_error"
    assert failure["message"] == "RuntimeError: index out of order"
    assert "Traceback (most recent call last)" in failure["traceback"]
    assert "Traceback (most recent call last)" in err
    text = (tmp_path / "output" / "failure").read_text()
    assert text == "AlgorithmError: RuntimeError: index out of order\n"
    assert list((tmp_path / "model").iterdir()) == []
    assert not (tmp_path / "model.partial").exists()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            InvalidRequest.for_field("hyperparameters.k", "0"),
            "client_error",
            "ClientError: hyperparameters.k: 0",
        ),
        (
            DataError("is text", row=3, column="a", value="x"),
            "data_error",
            "ClientError: row 3, column 'a': is text",
        ),
        (
            MemoryError("Unable to allocate 8 GiB"),
            "out_of_memory",
            "AlgorithmError: the algorithm could not get the memory it asked for (Unable to allocate 8 GiB)",
        ),
        (
            RuntimeError("std::bad_alloc"),
            "out_of_memory",
            "AlgorithmError: the algorithm could not get the memory it asked for (std::bad_alloc)",
        ),
        (KeyError("k"), "algorithm_error", "AlgorithmError: KeyError: 'k'"),
    ],
)
def test_causes_are_told_apart(error, kind, text):
    failure = failure_from(error)
    assert (failure.kind, failure.text) == (kind, text)
    assert bool(failure.traceback) == (kind in {"out_of_memory", "algorithm_error"})


def test_bad_data_is_told_without_a_traceback(tmp_path):
    result = folder(tmp_path, channels={"train": ROWS + "1,x,3\n"}).run()
    assert result.returncode == 1
    assert result.err.startswith("ClientError: row 41, column 'c1': ")
    assert len(result.err.splitlines()) == 1


def test_a_channel_that_the_algorithm_has_not_is_named(tmp_path):
    result = folder(tmp_path, channels={"train": ROWS, "validation": ROWS}).run()
    assert result.failure_text == "ClientError: channels.validation: knn has no such channel; use train, test"


def test_a_required_channel_that_is_absent_is_named(tmp_path):
    result = folder(tmp_path, channels={"test": ROWS}).run()
    assert result.failure_text == "ClientError: channels.train: is required by knn"


def test_a_channel_of_several_files_is_read_in_order_and_the_bad_one_named(tmp_path):
    job = folder(tmp_path)
    train = tmp_path / "input" / "data" / "train"
    (train / "part-00001.csv").write_text("1,2,3\n0,4,oops\n")
    result = job.run()
    assert (result.failure["row"], result.failure["column"]) == (2, "c2")
    assert "part-00001.csv" in result.failure["message"]


def test_a_call_without_a_job_says_how_to_call_it():
    result = subprocess.run(
        [sys.executable, "-m", "jobs.runner"], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "usage" in result.stderr


def test_a_job_spec_comes_back_from_its_json(tmp_path):
    spec = JobSpec(
        uid="01J",
        name="名前",
        attempt=2,
        algorithm="knn",
        root=tmp_path,
        n_threads=2,
        memory_limit_bytes=1 << 30,
        channels={"train": ChannelSpec(schema={"format": "csv"}, input_mode="Pipe", n_rows=7)},
        parent_pid=5,
    )
    assert JobSpec.read(spec.write()) == spec


def test_an_unknown_input_mode_is_refused():
    with pytest.raises(ValueError, match="one of File, Pipe"):
        ChannelSpec(input_mode="FastFile")


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
