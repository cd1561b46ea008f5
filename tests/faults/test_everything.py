"""The whole platform with jobs, an endpoint and people on it: each part killed, and all of it killed at once."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.runner.warm_process import warm_name_has_owner
from tests.faults.stage import HeldData
from tests.journeys.street import Street
from tests.live import LivePlatform, command_line, platform_running
from tests.polling import wait_until
from tests.services import is_on

pytestmark = [pytest.mark.live, pytest.mark.slow]

ENDPOINT = "iris-knn"
ROW = "5.1,3.5,1.4,0.2"
N_PLACES = max(2, len(os.sched_getaffinity(0)))
"""Jobs that the one worker runs at a time."""
AGAIN_WITHIN_S = 60.0
TABLE = "a,b,kind\n" + "".join(f"{n % 2 + n / 100},{n % 2},{'yes' if n % 2 else 'no'}\n" for n in range(40))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    """A platform that these tests may kill, with the sample deployed."""
    with platform_running(tmp_path_factory.mktemp("everything")) as running:
        yield running


@pytest.fixture(scope="module")
def street(own: LivePlatform) -> Street:
    return Street(own)


class Browser:
    """A person's browser as far as sessions go: it keeps cookies and fills in the sign-in form."""

    def __init__(self, platform: LivePlatform) -> None:
        self._base_url = platform.base_url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def sign_in(self, *, user: str, password: str) -> None:
        page = self._open("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page[:500]
        fields = {"username": user, "password": password, "csrfmiddlewaretoken": token.group(1), "next": ""}
        self._open("/login/", urllib.parse.urlencode(fields).encode())

    def is_signed_in(self) -> bool:
        return 'name="password"' not in self._open("/")

    def _open(self, path: str, data: bytes | None = None) -> str:
        request = urllib.request.Request(self._base_url + path, data=data)
        request.add_header("Referer", self._base_url + path)
        with self._opener.open(request, timeout=60) as answer:
            return str(answer.read().decode())


def part(platform: LivePlatform, word: str) -> psutil.Process:
    """The one process whose command line has the word: a `manage.py` command, or redis-server."""
    found: list[psutil.Process] = []
    for process in platform.processes():
        with contextlib.suppress(psutil.Error):
            if process.name() == word or word in command_line(process)[1:3]:
                found.append(process)
    assert len(found) == 1, f"{word}: {found}"
    return found[0]


def until_another(platform: LivePlatform, word: str, before: psutil.Process) -> None:
    wait_until(lambda: is_another(platform, word, before), timeout_s=AGAIN_WITHIN_S, what=f"another {word}")


def is_another(platform: LivePlatform, word: str, before: psutil.Process) -> bool:
    with contextlib.suppress(AssertionError):
        return part(platform, word).pid != before.pid
    return False


def answers(street: Street) -> bool:
    """Whether the endpoint answers a row of its data with a prediction."""
    with contextlib.suppress(OSError):
        answer = street.invoke(ENDPOINT, ROW)
        return answer.status == 200 and bool(answer.json["predictions"])
    return False


def healthy(street: Street) -> bool:
    with contextlib.suppress(OSError):
        answer = street.client.get("health/")
        return answer.status == 200 and answer.json["status"] == "ok"
    return False


@pytest.mark.parametrize("word", ["scheduler"] if is_on() else ["redis-server", "scheduler"])
def test_jobs_go_on_when_what_only_carries_hints_is_killed(
    own: LivePlatform, street: Street, word: str
) -> None:
    before = part(own, word)
    before.kill()
    asked_at = time.monotonic()
    street.job_start(f"without-{word}", train=street_data(street))
    assert time.monotonic() - asked_at < 10, "whoever creates a job does not wait for it"
    assert street.job_ended(f"without-{word}")["status"] == "Completed"
    until_another(own, word, before)
    wait_until(lambda: healthy(street), timeout_s=AGAIN_WITHIN_S, what="health")


def test_predictions_go_on_while_the_web_process_is_killed(own: LivePlatform, street: Street) -> None:
    """Invocations need the gateway and the model server only."""
    before = part(own, "web")
    before.kill()
    statuses = []
    while not is_another(own, "web", before) or len(statuses) < 20:
        statuses.append(street.invoke(ENDPOINT, ROW).status)
    assert set(statuses) == {200}
    wait_until(lambda: healthy(street), timeout_s=AGAIN_WITHIN_S, what="health")
    street.job_completed("after-web", train=street_data(street))


def test_the_killed_gateway_is_back_with_its_routes(own: LivePlatform, street: Street) -> None:
    before = part(own, "gateway")
    before.kill()
    until_another(own, "gateway", before)
    wait_until(lambda: answers(street), timeout_s=AGAIN_WITHIN_S, what="a prediction")
    wait_until(lambda: healthy(street), timeout_s=AGAIN_WITHIN_S, what="health")


TUNING = {
    "objective_metric": "validation:rmse",
    "objective_type": "Minimize",
    "ranges": [
        {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3},
        {"name": "max_depth", "type": "Integer", "min": 3, "max": 4},
    ],
    "max_jobs": 4,
    "max_parallel_jobs": 2,
    "random_seed": 7,
    "algorithm": "xgboost",
    "static_hyperparameters": {"num_round": 400, "objective": "reg:squarederror"},
    "channels": {"train": {"dataset": "diabetes-train"}, "validation": {"dataset": "diabetes-test"}},
}


def test_a_tuning_job_loses_and_repeats_nothing_when_worker_and_scheduler_are_killed(
    own: LivePlatform, street: Street
) -> None:
    """Both drive it. Another with the same seed, undisturbed, draws the same: so does the rest of the first one."""
    assert street.post("datasets/", {"name": "diabetes", "sample": "diabetes"}).status == 201
    split = {"fractions": {"train": 0.8, "test": 0.2}, "seed": 0}
    assert street.post("datasets/diabetes/split/", split).status == 201
    for name in ("killed", "spared"):
        assert street.post("tuning-jobs/", TUNING | {"name": name, "strategy": "Random"}).status == 201
        if name == "killed":
            wait_until(
                lambda: len(trials(street, "killed")) >= 2, timeout_s=AGAIN_WITHIN_S, what="two trials"
            )
            known = trials(street, "killed")
            for word in ("worker", "scheduler"):
                part(own, word).kill()
        wait_until(
            lambda name=name: tuning(street, name)["status"] != "InProgress",
            timeout_s=2 * AGAIN_WITHIN_S,
            every_s=0.2,
            what=lambda name=name: f"{tuning(street, name)} {trials(street, name)}",
        )
    killed = tuning(street, "killed")
    assert (killed["status"], killed["trial_status_counts"]["Completed"]) == ("Completed", 4), killed
    found, undisturbed = trials(street, "killed"), trials(street, "spared")
    assert [trial["training_job"] for trial in found][: len(known)] == [t["training_job"] for t in known]
    assert [t["hyperparameters"] for t in found] == [t["hyperparameters"] for t in undisturbed]
    assert [t["value"] for t in found] == [t["value"] for t in undisturbed]
    assert len(street.get("training-jobs/?search=killed-0").json["items"]) == 4
    assert killed["best_training_job"]["value"] == min(trial["value"] for trial in found)
    assert all(
        0.2 <= float(trial["hyperparameters"]["eta"]) <= 0.3 and trial["hyperparameters"]["max_depth"] in "34"
        for trial in found
    )


def tuning(street: Street, name: str) -> dict[str, Any]:
    return dict(street.get(f"tuning-jobs/{name}/").json)


def trials(street: Street, name: str) -> list[dict[str, Any]]:
    """In their order, those that have a job."""
    items = street.get(f"tuning-jobs/{name}/trials/?order=number").json["items"]
    return [trial for trial in items if trial["training_job"]]


def test_everything_killed_at_once_goes_on_where_it_was(own: LivePlatform, street: Street) -> None:
    browser = Browser(own)
    browser.sign_in(user=own.username, password=own.password)
    assert browser.is_signed_in()
    key = {"Idempotency-Key": "accepted-once", "Content-Type": "application/json"}
    accepted = _post_job(street, key)
    assert accepted.status == 201, accepted.text
    with held_dataset(own, street) as (name, data):
        running, waiting = _fill(street, name)
        pids = {process.pid for process in own.processes()}
        assert len(pids) > 7 + N_PLACES
        kill_all(own)
        data.release()
        own.start()
        wait_until(lambda: answers(street), timeout_s=AGAIN_WITHIN_S, what="a prediction")
        assert street.endpoint_settled(ENDPOINT)["status"] == "InService"
        ended = {job: street.job_ended(job) for job in [*running, *waiting]}
    assert {job: (row["status"], row["attempt"]) for job, row in ended.items()} == {
        **dict.fromkeys(running, ("Completed", 2)),
        **dict.fromkeys(waiting, ("Completed", 1)),
    }
    assert all("[attempt 2]" in street.log(job).splitlines() for job in running)
    repeated = _post_job(street, key)
    assert (repeated.status, repeated.headers["Idempotency-Replayed"]) == (201, "true")
    assert repeated.json == accepted.json
    assert browser.is_signed_in(), "the session was signed with a key that is gone"
    again = Browser(own)
    again.sign_in(user=own.username, password=own.password)
    assert again.is_signed_in()
    _nothing_left(own)


def street_data(street: Street) -> str:
    """The name of a small dataset, made where it is missing."""
    if street.get("datasets/small/").status == 404:
        street.dataset("small", TABLE.encode(), label="kind")
    return "small"


@contextlib.contextmanager
def held_dataset(own: LivePlatform, street: Street) -> Iterator[tuple[str, HeldData]]:
    """A dataset whose readers wait."""
    content = TABLE.replace("kind", "held").encode()
    street.dataset("held", content, label="held")
    files = [path for path in (own.data_dir / "store").rglob("*") if path.is_file()]
    [path] = [path for path in files if path.read_bytes() == content]
    with HeldData(path) as data:
        yield "held", data


def _fill(street: Street, dataset: str) -> tuple[list[str], list[str]]:
    """Jobs that run, and wait for their data, in every place of the worker; and two that wait for a place."""
    channels = {"train": {"dataset": dataset, "input_mode": "Pipe"}}
    running = [f"running-{n}" for n in range(N_PLACES)]
    for name in running:
        street.job_start(name, train=dataset, channels=channels)
    wait_until(
        lambda: all(street.job(name)["secondary_status"] == "Training" for name in running),
        timeout_s=AGAIN_WITHIN_S,
        what="the jobs running",
    )
    wait_until(
        lambda: all("attempt 1" in street.log(name) for name in running),
        timeout_s=AGAIN_WITHIN_S,
        what="the first line of each",
    )
    waiting = ["waiting-0", "waiting-1"]
    for name in waiting:
        street.job_start(name, train=street_data(street))
    assert [street.job(name)["secondary_status"] for name in waiting] == ["Pending", "Pending"]
    return running, waiting


def kill_all(own: LivePlatform) -> None:
    """SIGKILL to every process, the first one first, so that it starts none again."""
    own.kill_everything()
    wait_until(lambda: not own.processes(), timeout_s=30, what=lambda: f"the end of {own.processes()}")


def _post_job(street: Street, headers: dict[str, str]) -> Any:
    body = json.dumps(street.job_request("accepted", train=street_data(street))).encode()
    return street.client.send("POST", f"{street.base}/training-jobs/", body=body, headers=headers)


def _nothing_left(own: LivePlatform) -> None:
    """Every process is under the one that was started last, and every folder belongs to something that is."""

    def strangers() -> list[psutil.Process]:
        below = {process.pid for process in psutil.Process(own.pid).children(recursive=True)}
        return [process for process in own.processes() if process.pid not in below | {own.pid}]

    def files() -> list[Path]:
        """But for the folders of processes that wait for their job."""
        found = [path for name in ("work", "tmp") for path in (own.data_dir / name).iterdir()]
        return [path for path in found if not warm_name_has_owner(path.name)]

    wait_until(lambda: not strangers(), timeout_s=30, what=lambda: f"no process beside ours: {strangers()}")
    wait_until(lambda: not files(), timeout_s=AGAIN_WITHIN_S, what=lambda: f"empty folders: {files()}")
    assert len(list((own.data_dir / "models").iterdir())) == 1, "one replica serves"
    assert not list((own.data_dir / "store").rglob("*.part"))
