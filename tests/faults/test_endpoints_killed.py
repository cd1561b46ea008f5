"""Model servers, hosts and gateways that are killed or hang under load: who notices, how long, how many requests.

The tests share one stage and are run in their order.
"""

from __future__ import annotations

import io
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from django.db.models import Sum

from endpoints.models import Endpoint, EndpointMetric, Evaluation, Model, Replica, TableRun
from endpoints.plan import HEALTH_WINDOW_S
from endpoints.selectors.evaluations import evaluation_rows
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete, endpoint_update
from endpoints.services.evaluations import evaluation_create, evaluation_execute
from endpoints.services.models import model_create
from endpoints.services.tables import table_run_create, table_run_execute
from jobs.runner.pack import model_pack
from jobs.services.datasets import dataset_create_from_upload
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import FEATURES, LABELS, IrisParts
from tests.faults.endpoint_fixtures import *  # noqa: F403
from tests.faults.endpoint_stage import (
    BACK_WITHIN_S,
    SUPERVISOR_PAUSE_S,
    EndpointStage,
    ManageProcess,
    is_gone,
    kill,
)
from tests.faults.load import Answered, Load
from tests.polling import wait_until

pytestmark = [pytest.mark.slow]
FLUSHED_WITHIN_S = 3.0
TWO = VariantRequest(model="iris-knn", instance_count=2)
ONE = VariantRequest(model="iris-knn")


@pytest.fixture(scope="module")
def scheduler(stage: EndpointStage) -> ManageProcess:
    """It gives hosts the health window after its start, so it is started with the stage."""
    return stage.also("scheduler")


@pytest.fixture(scope="module", autouse=True)
def endpoints(alice: Actor, stage: EndpointStage, scheduler: ManageProcess) -> None:
    """`iris` on two replicas and `single` on one."""
    endpoint_create(actor=alice, name="iris", variants=[TWO])
    endpoint_create(actor=alice, name="single", variants=[ONE])
    stage.wait_in_service(2)
    stage.wait_in_service(1, name="single")


@pytest.fixture
def broken_model(alice: Actor, tmp_path: Path) -> Model:
    """A well-formed archive without an index in it."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "model_algo-1.json").write_text("{}")
    packed = model_pack(model_dir=folder, archive=tmp_path / "broken.tar.gz", facts={"algorithm": "knn"})
    address = uri(alice.project.bucket, "uploads/broken.tar.gz")
    object_store().put_file(packed.path, address)
    return model_create(actor=alice, name="broken", artifact_uri=address, algorithm="knn")


def _restarted(stage: EndpointStage, before: Replica, *, name: str = "iris") -> bool:
    now = Replica.objects.get(pk=before.pk)
    return now.restarts > before.restarts and now.status == "InService" and now.pid != before.pid


def _no_riddles(answers: Sequence[Answered]) -> None:
    """Whoever got no prediction was told so at once, in words, and when to come again."""
    assert {answer.status for answer in answers} <= {424, 503}, [a.error or a.body for a in answers]
    assert all(answer.headers.get("retry-after") for answer in answers if answer.status == 503)
    assert all(b'"message"' in answer.body for answer in answers)


def test_killing_one_of_two_model_servers_again_and_again_fails_at_most_one_request_in_a_thousand(
    stage: EndpointStage,
) -> None:
    with Load(stage.port, stage.request()) as load:
        load.wait_for_more(500)
        for turn in range(3):
            victim = stage.wait_in_service(2)[turn % 2]
            kill(victim.pid)
            wait_until(lambda victim=victim: _restarted(stage, victim), timeout_s=30)
            load.wait_for_more(500)
    assert len(load.answers) >= 2_000
    assert len(load.failures) <= len(load.answers) // 1000, (load.statuses, load.failures[:3])


def test_a_killed_model_server_without_a_second_one_answers_again_within_ten_seconds(
    stage: EndpointStage,
) -> None:
    victim = stage.replicas("single")[0]
    with Load(stage.port, stage.request(endpoint="single"), n_callers=4) as load:
        load.wait_for_more(200)
        killed_at = kill(victim.pid)
        wait_until(lambda: _restarted(stage, victim), timeout_s=30)
        load.wait_for_more(200)
    gap_s = load.longest_silence_s(since=killed_at)
    assert gap_s < BACK_WITHIN_S
    _no_riddles(load.failures)


def test_model_servers_that_hang_are_replaced_and_nobody_waits_longer_than_the_health_window(
    stage: EndpointStage,
) -> None:
    one_of_two, only_one = stage.wait_in_service(2)[0], stage.wait_in_service(1, name="single")[0]
    with (
        Load(stage.port, stage.request()) as load,
        Load(stage.port, stage.request(endpoint="single"), n_callers=4) as waiting,
    ):
        load.wait_for_more(200)
        waiting.wait_for_more(50)
        kill(one_of_two.pid, signal.SIGSTOP)
        hung_at = kill(only_one.pid, signal.SIGSTOP)
        wait_until(lambda: _restarted(stage, only_one), timeout_s=60)
        wait_until(lambda: _restarted(stage, one_of_two), timeout_s=60)
        load.wait_for_more(200)
        waiting.wait_for_more(50)
    assert is_gone(one_of_two.pid) and is_gone(only_one.pid)
    assert load.failures == []
    assert load.longest_silence_s(since=hung_at) < BACK_WITHIN_S, "the other replica went on"
    _no_riddles(waiting.failures)
    slowest_s = max(answer.duration_s for answer in [*load.answers, *waiting.answers])
    assert slowest_s < HEALTH_WINDOW_S
    assert waiting.longest_silence_s(since=hung_at) < HEALTH_WINDOW_S


def test_a_killed_gateway_is_back_on_its_port_with_its_routes_and_loses_only_the_last_counts(
    stage: EndpointStage,
) -> None:
    before = _settled_count()
    with Load(stage.port, stage.request(), n_callers=2) as load:
        for _ in range(4):
            known = _counted()
            wait_until(lambda known=known: _counted() > known, what="counts that are written")
        load.wait_for_more(200)
        stage.gateway.kill()
        killed_at = time.monotonic()
        time.sleep(SUPERVISOR_PAUSE_S)
        stage.gateway.start()
        load.wait_for_more(200)
    assert load.longest_silence_s(since=killed_at) < BACK_WITHIN_S
    n_lost_at_most = sum(killed_at - FLUSHED_WITHIN_S < a.ended_at < killed_at for a in load.answers)
    assert load.n_good - n_lost_at_most > 400, "the load went on for longer than a flush before the kill"
    wait_until(
        lambda: _counted() - before >= load.n_good - n_lost_at_most, what="the counts of both gateways"
    )
    assert _counted() - before <= len(load.answers)


def _counted() -> int:
    found: int = EndpointMetric.objects.filter(endpoint__name="iris").aggregate(n=Sum("n_requests"))["n"] or 0
    return found


def _settled_count() -> int:
    """What is counted when nothing has been added for longer than a flush takes."""
    known, since = _counted(), time.monotonic()
    while time.monotonic() - since < FLUSHED_WITHIN_S:
        if _counted() != known:
            known, since = _counted(), time.monotonic()
        time.sleep(0.1)
    return known


def test_a_table_run_whose_worker_is_killed_is_given_to_another_and_leaves_one_result(
    alice: Actor, stage: EndpointStage, iris: IrisParts
) -> None:
    rows = [",".join(map(str, row)) for row in iris.train] * 400
    table = "\n".join([",".join([*FEATURES, "species"]), *rows]).encode()
    dataset_create_from_upload(
        actor=alice, name="many", file=io.BytesIO(table), filename="many.csv", label="species"
    )
    run = table_run_create(actor=alice, endpoint="iris", dataset="many")
    code = f"from endpoints.services.tables import table_run_execute as it; it(run_id={run.pk})"
    worker = stage.also("shell", "-c", code)
    runs = TableRun.objects.filter(pk=run.pk)
    wait_until(lambda: runs.filter(n_done__gt=0).exists(), timeout_s=60, what=lambda: worker.log)
    evaluations = [child.pid for child in psutil.Process(worker.pid).children(recursive=True)]
    assert evaluations, "the run is carried out in a process of its own"
    worker.kill()
    wait_until(lambda: all(map(is_gone, evaluations)), what="the end of the run's process")
    wait_until(
        lambda: runs.get().lease_owner == "", what="the host's sweep, which need not wait for the lease"
    )
    assert table_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.n_done, run.failure) == ("Completed", 2, len(rows), "")
    assert run.summary["n_correct"] == len(rows), "the model knows its own training rows"
    stored = list(object_store().list(f"s3://{alice.project.bucket}/table-runs"))
    assert [found.uri for found in stored] == [run.result_uri]


def test_an_evaluation_whose_worker_is_killed_is_given_to_another_and_leaves_one_outcome(
    alice: Actor, stage: EndpointStage, iris: IrisParts
) -> None:
    kinds = {float(code): kind for kind, code in LABELS.items()}
    rows = [",".join([*map(str, row[:-1]), kinds[row[-1]]]) for row in iris.train] * 400
    table = "\n".join([",".join([*FEATURES, "species"]), *rows]).encode()
    dataset_create_from_upload(
        actor=alice, name="measured", file=io.BytesIO(table), filename="m.csv", label="species"
    )
    evaluation = evaluation_create(
        actor=alice, name="killed", endpoint="iris", dataset="measured", batches=200, single_requests=4000
    )
    code = f"from endpoints.services.evaluations import evaluation_execute as it; it(evaluation_id={evaluation.pk})"
    worker = stage.also("shell", "-c", code)
    same = Evaluation.objects.filter(pk=evaluation.pk)
    wait_until(
        lambda: same.get().progress.get("done", 0) > 0,
        timeout_s=60,
        every_s=0.005,
        what=lambda: (
            f"progress: {same.values('status', 'attempt', 'progress', 'failure').get()}, {worker.log}"
        ),
    )
    processes = [child.pid for child in psutil.Process(worker.pid).children(recursive=True)]
    assert processes, "it is carried out in a process of its own"
    worker.kill()
    wait_until(lambda: all(map(is_gone, processes)), what="the end of the evaluation's process")
    wait_until(
        lambda: same.get().lease_owner == "", what="the host's sweep, which need not wait for the lease"
    )
    assert same.get().progress == {}
    assert evaluation_execute(evaluation_id=evaluation.pk)
    found = same.get()
    assert (found.status, found.attempt, found.failure) == ("Completed", 2, "")
    wrong = evaluation_rows(evaluation=found, only_wrong=True).rows
    assert (found.summary["n_rows"], wrong) == (len(rows), []), "the model knows its own training rows"
    assert not evaluation_execute(evaluation_id=evaluation.pk)
    stored = list(object_store().list(f"s3://{alice.project.bucket}/evaluations"))
    assert [kept.uri for kept in stored] == [found.result_uri]


def test_a_killed_host_takes_its_model_servers_with_it_and_the_next_one_answers_within_ten_seconds(
    stage: EndpointStage,
) -> None:
    before = [*stage.wait_in_service(2), *stage.wait_in_service(1, name="single")]
    with Load(stage.port, stage.request(), n_callers=4) as load:
        load.wait_for_more(200)
        stage.host.kill()
        wait_until(lambda: stage.model_servers() == [], timeout_s=10, what="the end of the model servers")
        time.sleep(SUPERVISOR_PAUSE_S)
        started_at = time.monotonic()
        stage.host.start()
        load.wait_for_more(200)
        after = [*stage.wait_in_service(2), *stage.wait_in_service(1, name="single")]
    gap_s = load.longest_silence_s(since=started_at)
    assert gap_s < BACK_WITHIN_S
    _no_riddles(load.failures)
    assert [replica.pk for replica in after] == [replica.pk for replica in before], "taken over, not doubled"
    assert sorted(stage.model_servers()) == sorted(replica.pid for replica in after)
    assert [replica.restarts - old.restarts for replica, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_an_endpoint_whose_host_is_dead_is_not_in_service_beyond_the_health_window_and_comes_back(
    stage: EndpointStage,
) -> None:
    stage.host.kill()
    killed_at = time.monotonic()
    wait_until(lambda: stage.invoke().status == 503, timeout_s=10)
    refused = stage.invoke()
    assert (
        refused.status == 503
        and refused.duration_s < 5
        and "Retry-After" in {name.title() for name in refused.headers}
    )
    wait_until(lambda: stage.endpoint().status == "Failed", timeout_s=60, every_s=0.2)
    assert time.monotonic() - killed_at < HEALTH_WINDOW_S
    assert stage.endpoint().failure is not None
    assert not Replica.objects.exclude(address="").exists(), "the gateway has nobody to send to"
    stage.host.start()
    stage.wait_in_service(2)
    stage.wait_in_service(1, name="single")
    assert stage.endpoint().failure is None
    assert stage.invoke().status == 200


def test_updates_and_a_roll_back_under_load_lose_no_request_and_a_deleted_endpoint_is_404(
    alice: Actor, stage: EndpointStage, broken_model: Model
) -> None:
    halves = [
        VariantRequest(model="iris-knn", name="blue", weight=1),
        VariantRequest(model="iris-knn", name="green", weight=3),
    ]
    with Load(stage.port, stage.request()) as load:
        load.wait_for_more(200)
        for variants in (halves, [TWO]):
            endpoint_update(actor=alice, name="iris", variants=variants)
            stage.wait_in_service(2)
            load.wait_for_more(300)
        endpoint_update(actor=alice, name="iris", variants=[VariantRequest(model=broken_model.name)])
        wait_until(lambda: stage.endpoint().failure is not None, timeout_s=60)
        stage.wait_in_service(2)
        load.wait_for_more(300)
        assert load.failures == []
        served_by = {answer.headers["x-amzn-invoked-production-variant"] for answer in load.answers}
        assert served_by == {"alltraffic", "blue", "green"}
        endpoint_delete(actor=alice, name="iris")
        deleted_at = time.monotonic()
        wait_until(lambda: not Endpoint.objects.filter(name="iris").exists(), timeout_s=60)
        wait_until(lambda: time.monotonic() > deleted_at + 2.0)
    assert set(load.statuses) == {200, 404}
    late = [answer for answer in load.answers if answer.began_at > deleted_at + 1.0]
    assert {answer.status for answer in late} == {404}
    assert b"was not found" in load.failures[-1].body
