"""Lists, counts, waiting, metrics: each sees its own project only, and no list touches history."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.metric_points import Point, points_thin
from jobs.models import TrainingJob
from jobs.selectors.training import (
    training_job_artifact,
    training_job_counts,
    training_job_get,
    training_job_list,
    training_job_metrics,
    training_job_waiting_reason,
)
from jobs.services.lifecycle import training_job_claim, training_job_report
from jobs.services.metrics import MetricPoint
from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import node_beat
from tests.jobs.training.cast import Cast, dataset_make, job_make


def _worker(name: str = "w1", queues: tuple[str, ...] = ("cpu",), concurrency: int = 1) -> None:
    node_beat(
        kind=NodeKind.WORKER, name=name, started_at=clock.now(), queues=list(queues), concurrency=concurrency
    )


def test_a_list_shows_the_projects_own_jobs_newest_first(cast: Cast) -> None:
    for n in range(3):
        job_make(cast.alice, f"job-{n}")
    dataset_make(cast.charlie)
    job_make(cast.charlie, "theirs")
    page = training_job_list(actor=cast.bob)
    assert [job.name for job in page.items] == ["job-2", "job-1", "job-0"]
    assert (page.count, page.next) == (3, None)


def test_pages_follow_each_other_whatever_is_added_meanwhile(cast: Cast) -> None:
    for n in range(7):
        job_make(cast.alice, f"job-{n}")
    names, cursor = [], None
    while True:
        page = training_job_list(actor=cast.alice, limit=3, cursor=cursor)
        names += [job.name for job in page.items]
        cursor = page.next
        if cursor is None:
            break
        job_make(cast.alice, f"later-{len(names)}")
    assert names == [f"job-{n}" for n in range(6, -1, -1)]


def test_a_list_is_filtered_by_name_status_and_algorithm(cast: Cast) -> None:
    job_make(cast.alice, "iris-one")
    done = job_make(cast.alice, "iris-two")
    TrainingJob.objects.filter(pk=done.pk).update(status="Completed")
    assert [job.name for job in training_job_list(actor=cast.alice, search="TWO").items] == ["iris-two"]
    assert [job.name for job in training_job_list(actor=cast.alice, status="Completed").items] == ["iris-two"]
    assert training_job_list(actor=cast.alice, algorithm="xgboost").count == 0
    assert [job.name for job in training_job_list(actor=cast.alice, order="name").items] == [
        "iris-one",
        "iris-two",
    ]


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ("order", {"order": "created_by__password"}),
        ("status", {"status": "Done"}),
        ("cursor", {"cursor": "forged"}),
        ("limit", {"limit": 101}),
    ],
)
def test_a_list_refuses_what_is_not_allowed(cast: Cast, field: str, query: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        training_job_list(actor=cast.alice, **query)  # type: ignore[arg-type]
    assert refused.value.errors[0].field == field


def test_a_list_takes_two_queries_however_long_it_is(cast: Cast, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    for _ in range(10):
        job_make(cast.alice)
    with django_assert_num_queries(2):
        for job in training_job_list(actor=cast.alice).items:
            assert job.arn
            assert job.created_by.username == "alice"


def test_a_job_of_another_project_is_as_unknown_as_none(cast: Cast) -> None:
    job_make(cast.alice, "mine")
    assert training_job_get(actor=cast.bob, name="mine").name == "mine"
    for name in ("mine", "nobodys"):
        with pytest.raises(NotFound, match=f"There is no training job '{name}'"):
            training_job_get(actor=cast.charlie, name=name)


def test_counts_have_every_status(cast: Cast) -> None:
    job_make(cast.alice)
    job = job_make(cast.alice)
    TrainingJob.objects.filter(pk=job.pk).update(status="Failed")
    assert training_job_counts(actor=cast.alice) == {
        "InProgress": 1,
        "Stopping": 0,
        "Completed": 0,
        "Failed": 1,
        "Stopped": 0,
    }
    assert sum(training_job_counts(actor=cast.charlie).values()) == 0


def test_a_job_on_a_queue_that_nobody_serves_says_so(cast: Cast) -> None:
    job = job_make(cast.alice, instance_type="ml.p3.2xlarge")
    _worker(queues=("cpu",))
    reason = training_job_waiting_reason(job=job)
    assert reason is not None
    assert "No worker serves the queue “gpu”, which ml.p3.2xlarge needs" in reason
    assert "manage.py worker --queues gpu" in reason


def test_a_worker_that_fell_silent_does_not_serve(cast: Cast) -> None:
    job = job_make(cast.alice)
    _worker()
    Node.objects.update(seen_at=clock.now() - timedelta(seconds=16))
    assert "No worker serves" in (training_job_waiting_reason(job=job) or "")


def test_a_job_behind_others_says_that_all_places_are_taken(cast: Cast) -> None:
    _worker(concurrency=2)
    for _ in range(2):
        assert training_job_claim(job_id=job_make(cast.alice).pk, owner="w1")
    waiting = job_make(cast.alice)
    assert "All 2 places" in (training_job_waiting_reason(job=waiting) or "")
    _worker("w2")
    assert training_job_waiting_reason(job=waiting) is None
    waiting.created_at -= timedelta(seconds=4)
    assert "about to take" in (training_job_waiting_reason(job=waiting) or "")


def test_a_job_does_not_wait_for_the_place_that_it_has_itself_just_got(cast: Cast) -> None:
    _worker(concurrency=1)
    job = job_make(cast.alice)
    assert training_job_claim(job_id=job.pk, owner="w1")
    assert training_job_waiting_reason(job=job) is None  # read before it was claimed


def test_a_running_job_waits_for_nothing(cast: Cast) -> None:
    job = job_make(cast.alice)
    training_job_claim(job_id=job.pk, owner="w1")
    job.refresh_from_db()
    assert training_job_waiting_reason(job=job) is None


def test_a_job_without_an_artifact_has_none_to_give(cast: Cast) -> None:
    job_make(cast.alice, "young")
    with pytest.raises(NotFound, match="no artifact"):
        training_job_artifact(actor=cast.alice, name="young")


def test_many_points_are_stored_in_chunks_and_come_back_in_order(cast: Cast) -> None:
    job = job_make(cast.alice)
    lease = training_job_claim(job_id=job.pk, owner="w1")
    assert lease is not None
    dice = random.Random(0)
    values = [dice.random() for _ in range(12_000)]
    step = 0
    while step < len(values):
        n = dice.randrange(1, 1500)
        points = [MetricPoint("m", 1000 + step + i, value) for i, value in enumerate(values[step : step + n])]
        training_job_report(lease=lease, stream=job.log, points=points)
        step += n
    (series,) = training_job_metrics(job=job)
    assert (series.n_points, series.last) == (12_000, values[-1])
    assert (series.minimum, series.maximum) == (min(values), max(values))
    assert job.metric_chunks.count() == 24
    assert len(series.points) <= 5000
    assert all(values[point[1]] == point[2] and point[0] == 1000 + point[1] for point in series.points)
    shown = [point[2] for point in series.points]
    assert min(values) in shown
    assert max(values) in shown


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=400), st.integers(min_value=4, max_value=60)
)
def test_thinning_keeps_ends_extremes_and_order(values: list[float | None], limit: int) -> None:
    points: list[Point] = [(n, n, value) for n, value in enumerate(values)]
    thin = points_thin(points, limit=limit)
    assert len(thin) <= max(limit, 0) or len(points) <= limit
    assert [point[1] for point in thin] == sorted({point[1] for point in thin})
    if points:
        assert (thin[0], thin[-1]) == (points[0], points[-1])
    known = [value for value in values if value is not None]
    if known:
        assert {min(known), max(known)} <= {point[2] for point in thin}
