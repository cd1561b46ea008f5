"""A script in a process that was started before it sees what it would see in one of its own, and ends as it would."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest

from jobs.models import TrainingJob
from jobs.services.execution import training_job_run
from jobs.services.warm_processes import WarmProcesses
from jobs.services.worker_state import WorkerState
from tests.jobs.scripts.stage import log_of, script_job, texts
from tests.jobs.training.cast import Cast
from tests.polling import wait_until

pytestmark = pytest.mark.slow
SHOW = """
import atexit, json, multiprocessing, os, pickle, sys, threading, time
import helper

class Kept:
    pass

def told():
    time.sleep(0.05)
    print("a thread that is no daemon is waited for", flush=True)

if __name__ == "__main__":
    hidden = {"PWD", "OLDPWD", "SHLVL", "_", "MLPLATFORM_JOB_PROCESS"}
    print(json.dumps({k: v for k, v in sorted(os.environ.items()) if k not in hidden}, indent=1))
    print(sys.argv, os.getcwd(), __file__, __spec__, sys.modules["__main__"].__name__)
    print([p for p in sys.path if "site-packages" not in p], helper.WORD)
    print(pickle.loads(pickle.dumps(Kept())).__class__, repr(sys.stdin.read()))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(helper.double, [1, 2]))
    try:
        import jobs.runner
        print("visible")
    except ImportError:
        print("hidden")
    atexit.register(lambda: print("at exit", flush=True))
    threading.Thread(target=told).start()
    open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write("w")
    END
"""
HELPER = "WORD = 'mine'\n\n\ndef double(n):\n    return 2 * n\n"


@pytest.fixture
def warm() -> Iterator[WarmProcesses]:
    with contextlib.closing(WarmProcesses(n_per_kind=1)) as pool:
        yield pool


def ran(
    cast: Cast, worker: WorkerState, pool: WarmProcesses | None, name: str, end: str
) -> tuple[TrainingJob, str]:
    files = texts(train_py=SHOW.replace("END", end), helper_py=HELPER)
    job = script_job(cast.alice, files, name=name, hyperparameters={"a": 1}, environment={"MY_FLAG": "on"})
    assert training_job_run(job_id=job.pk, worker=worker, warm=pool)
    job.refresh_from_db()
    text = log_of(job).replace(name, "NAME")
    return job, re.sub(rf"{job.uid}-\d+", "FOLDER", text)


def test_it_is_like_any_other(threads_cast: Cast, worker: WorkerState, warm: WarmProcesses) -> None:
    ran(threads_cast, worker, warm, "first", "pass")
    for n, end in enumerate(["pass", "raise KeyError('lost')", "sys.exit(3)"]):
        first, cold = ran(threads_cast, worker, None, f"cold-{n}", end)
        wait_until(lambda: len(warm.kinds()) == 1, what="one that waits")
        assert warm.kinds()[0].name == "script:python"
        pid = warm.pid_of(warm.kinds()[0])
        second, ahead = ran(threads_cast, worker, warm, f"warm-{n}", end)
        assert pid not in [warm.pid_of(kind) for kind in warm.kinds()], "it was not used"
        assert "at exit" in cold and "a thread that is no daemon" in cold and "hidden" in cold
        assert ahead == cold
        assert (first.status, second.status) in {("Completed",) * 2, ("Failed",) * 2}
        if first.failure is not None:
            keys = ("kind", "reason", "exit_code", "signal")
            assert second.failure is not None
            assert [first.failure[key] for key in keys] == [second.failure[key] for key in keys]
