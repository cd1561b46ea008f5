"""What a project has spent: jobs by their end, replicas by their lives, serverless by its work; nothing forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from endpoints.models import Endpoint, EndpointMetric, Experiment
from endpoints.selectors.cost_table import cost_period, cost_table
from endpoints.selectors.costs import Spender, endpoint_cost, experiment_cost
from endpoints.selectors.project_costs import project_costs
from endpoints.services.endpoints import endpoint_delete
from jobs.models import PriceSheet, TrainingJob, TuningJob, TuningTrial
from jobs.selectors.prices import prices_now, training_job_cost
from jobs.selectors.together import jobs_together, together_default
from jobs.services.prices import price_sheet_update
from jobs.services.training import training_job_delete
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, InvalidRequest, NotFound
from mlplatform.core.models import AuditEvent
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from tests import spending
from tests.spending import job_made, run_made

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def spent(actor: Actor, since: datetime = NOON - 5 * DAY, until: datetime = NOON + DAY) -> Any:
    return project_costs(actor=actor, since=since.replace(hour=0), until=until.replace(hour=0))


def test_a_job_keeps_the_price_that_held_when_it_ended(alice: Actor) -> None:
    job_made(alice, "old", ended_at=NOON, seconds=3600, price_per_hour=Decimal("0.5"), currency="USD")
    PriceSheet.objects.create(currency="USD", prices={"ml.c5.xlarge": "9"}, created_at=NOON)
    job_made(alice, "unpriced", ended_at=NOON, seconds=1800)
    costs = spent(alice)
    assert {one.name: one.cost.amount for one in costs.spent} == {
        "old": Decimal("0.5"),
        "unpriced": Decimal("4.5"),
    }
    assert [one.name for one in costs.spent] == ["unpriced", "old"]
    assert costs.total.amount == Decimal(5) and costs.by_kind[Spender.TRAINING].seconds == 5400
    assert costs.days["2026-11-20"][Spender.TRAINING] == Decimal(5)
    assert len(costs.days) == 6 and not any(costs.days["2026-11-18"].values())


def test_only_what_ended_in_the_time_counts_and_only_the_own_project(alice: Actor, charlie: Actor) -> None:
    job_made(alice, "before", ended_at=NOON - 9 * DAY, seconds=100)
    job_made(charlie, "theirs", ended_at=NOON, seconds=100)
    assert spent(alice).spent == [] and spent(alice).total.amount == 0
    assert [one.name for one in spent(charlie).spent] == ["theirs"]


def test_a_running_job_costs_so_far(alice: Actor) -> None:
    now = clock.now()
    running = job_made(alice, "runs", ended_at=now, seconds=600, status="InProgress", billable_s=None)
    running.ended_at = None
    running.save()
    costs = project_costs(actor=alice, since=now - DAY, until=now + DAY)
    assert costs.spent[0].cost.seconds == pytest.approx(600, abs=5)
    assert costs.spent[0].cost.amount == pytest.approx(Decimal("0.034"), rel=Decimal("0.01"))


def test_a_job_that_runs_now_costs_nothing_in_a_time_that_is_over(alice: Actor) -> None:
    now = clock.now()
    running = job_made(alice, "runs", ended_at=now, seconds=9 * 86400, status="InProgress", billable_s=None)
    running.ended_at = None
    running.save()
    assert project_costs(actor=alice, since=now - 5 * DAY, until=now - 2 * DAY).spent == []


def test_days_add_one_currency_alone(alice: Actor) -> None:
    job_made(alice, "yen", ended_at=NOON, seconds=3600, price_per_hour=Decimal(150), currency="JPY")
    job_made(alice, "dollar", ended_at=NOON, seconds=3600, price_per_hour=Decimal(2), currency="USD")
    costs = spent(alice)
    assert costs.days["2026-11-20"][Spender.TRAINING] == 2
    assert costs.total.amount is None


def test_serverless_endpoints_are_summed_up_by_the_database(
    alice: Actor, django_assert_max_num_queries: Any
) -> None:
    for name in ("a", "b", "c"):
        endpoint = endpoint_made(
            alice, name, serverless_memory_mb=1024, serverless_max_concurrency=5, idle_after_s=60
        )
        for at in (NOON - DAY, NOON, NOON + timedelta(minutes=1)):
            EndpointMetric.objects.create(
                endpoint=endpoint, variant="AllTraffic", minute_at=at, busy_ms=50_000
            )
    with django_assert_max_num_queries(8):
        costs = spent(alice)
    assert [one.cost.amount for one in costs.spent] == [Decimal("0.003")] * 3
    assert costs.spent[0].last_at == NOON + timedelta(minutes=1)
    assert costs.days["2026-11-19"][Spender.ENDPOINT] == Decimal("0.003")
    assert costs.days["2026-11-20"][Spender.ENDPOINT] == Decimal("0.006")


def test_trials_count_with_their_tuning_job(alice: Actor) -> None:
    tuning = TuningJob.objects.create(
        project=alice.project,
        name="tune",
        uid=uid_new(),
        objective_metric="validation:rmse",
        objective_type="Minimize",
        algorithm="xgboost",
        instance_type="ml.c5.xlarge",
        created_by=alice.user,
        created_at=NOON,
    )
    for number in (1, 2):
        job = job_made(alice, f"tune-{number}", ended_at=NOON, seconds=1800)
        TuningTrial.objects.create(
            tuning_job=tuning, number=number, job_name=job.name, training_job=job, created_at=NOON
        )
    [one] = spent(alice).spent
    assert (one.kind, one.name, one.n, one.cost.amount) == (Spender.TUNING, "tune", 2, Decimal("0.204"))


def test_a_replica_costs_its_life_within_the_time_on_each_of_its_days(alice: Actor) -> None:
    run_made(alice, started_at=NOON - 2 * DAY, ended_at=NOON, price_per_hour=Decimal(1), currency="USD")
    [one] = spent(alice, since=NOON - DAY).spent
    assert one.kind == Spender.ENDPOINT and not one.exists
    assert one.cost.amount == 36  # all of the 19th, and the 20th until noon
    days = spent(alice, since=NOON - DAY).days
    assert days["2026-11-19"][Spender.ENDPOINT] == 24 and days["2026-11-20"][Spender.ENDPOINT] == 12


def test_a_replica_whose_host_died_costs_until_it_was_seen_last(alice: Actor) -> None:
    run_made(
        alice,
        started_at=NOON - DAY,
        ended_at=None,
        seen_at=NOON - DAY + timedelta(hours=2),
        price_per_hour=Decimal(3),
    )
    assert spent(alice).spent[0].cost.seconds == 7200


def endpoint_made(actor: Actor, name: str = "small", **variant: Any) -> Endpoint:
    return spending.endpoint_made(actor, name, at=NOON, **variant)


def test_a_serverless_endpoint_costs_the_time_that_it_works(alice: Actor) -> None:
    endpoint = endpoint_made(alice, serverless_memory_mb=2048, serverless_max_concurrency=5, idle_after_s=60)
    for minute, busy_ms in ((0, 30_000), (1, 70_000)):
        EndpointMetric.objects.create(
            endpoint=endpoint,
            variant="AllTraffic",
            minute_at=NOON + timedelta(minutes=minute),
            busy_ms=busy_ms,
        )
    run_made(  # its model servers' lives are no cost
        alice,
        endpoint=endpoint,
        endpoint_uid=endpoint.uid,
        started_at=NOON,
        ended_at=NOON + DAY,
        memory_mb=2048,
        instance_type="",
    )
    [one] = spent(alice).spent
    assert (one.detail, one.cost.seconds, one.cost.amount) == ("serverless", 100, Decimal("0.004"))
    assert endpoint_cost(endpoint).amount == Decimal("0.004")


def test_an_endpoint_costs_all_its_replicas(alice: Actor) -> None:
    endpoint = endpoint_made(alice, instance_type="ml.m5.large")
    for _ in range(2):
        run_made(
            alice,
            endpoint=endpoint,
            endpoint_uid=endpoint.uid,
            started_at=NOON,
            ended_at=NOON + timedelta(hours=1),
        )
    assert endpoint_cost(endpoint).amount == Decimal("0.23")


def test_an_experiment_costs_its_jobs_once_and_all_endpoints_its_cells_had(alice: Actor) -> None:
    job = job_made(alice, "shared", ended_at=NOON, seconds=3600)
    experiment = Experiment.objects.create(
        project=alice.project,
        name="grid",
        uid=uid_new(),
        algorithm="knn",
        created_by=alice.user,
        created_at=NOON,
    )
    for position, uid in enumerate(("a" * 26, "b" * 26)):
        experiment.cells.create(
            position=position,
            configuration="c",
            instance_type="ml.m5.large",
            training_key="k",
            training_job=job,
            endpoint_uids=[uid],
        )
        run_made(alice, endpoint_uid=uid, started_at=NOON, ended_at=NOON + timedelta(hours=1))
    assert experiment_cost(experiment).amount == Decimal("0.204") + 2 * Decimal("0.115")


def test_the_table_has_what_the_page_has(alice: Actor) -> None:
    job_made(alice, "one", ended_at=NOON, seconds=3600)
    [row] = cost_table(spent(alice)).records()
    assert row["name"] == "one" and row["amount"] == 0.204 and row["last_at"] == "2026-11-20T12:00:00Z"


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        (date(2026, 2, 1), date(2026, 1, 1), "until"),
        (date(2024, 1, 1), date(2026, 1, 1), "until"),
        (date(1, 1, 1), None, "since"),
        (None, date(9999, 12, 31), "until"),
    ],
)
def test_days_that_cannot_be_asked_for(since: date | None, until: date | None, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        cost_period(since=since, until=until)
    assert refused.value.errors[0].field == field


def test_one_job_beside_the_separate_ones(alice: Actor) -> None:
    one = job_made(
        alice,
        "both",
        ended_at=NOON,
        seconds=6,
        input_bytes=100,
        hyperparameters={"members": "xgboost,catboost"},
    )
    xgboost = job_made(alice, "x", ended_at=NOON, seconds=4, input_bytes=100)
    catboost = job_made(alice, "c", ended_at=NOON, seconds=6, input_bytes=100, algorithm="catboost")
    found = jobs_together(actor=alice, job="both", separate=["x", "c"])
    assert (found.time_ratio, found.bytes_ratio, found.cost_ratio) == (0.6, 0.5, 0.6)
    assert together_default(job=one, candidates=[catboost, xgboost]) == [xgboost, catboost]
    catboost.input_bytes = None
    catboost.save()
    assert jobs_together(actor=alice, job="both", separate=["x", "c"]).bytes_ratio is None


@pytest.mark.parametrize(
    ("separate", "words"), [([], "0 jobs"), (["both"], "itself"), (["runs"], "InProgress")]
)
def test_jobs_that_cannot_stand_beside(alice: Actor, separate: list[str], words: str) -> None:
    job_made(alice, "both", ended_at=NOON, seconds=6)
    job_made(alice, "runs", ended_at=NOON, seconds=6, status="InProgress")
    with pytest.raises(InvalidRequest, match=words):
        jobs_together(actor=alice, job="both", separate=separate)
    with pytest.raises(NotFound):
        jobs_together(actor=alice, job="both", separate=["ghost"])


def test_only_operators_change_prices_and_every_change_is_an_edition(alice: Actor) -> None:
    with pytest.raises(AccessDenied):
        price_sheet_update(user=alice.user, currency="USD", prices={})
    operator = User.objects.create_user("olga", is_staff=True)
    price_sheet_update(user=operator, currency="JPY", prices={"ml.c5.xlarge": "31.50"}, note="November")
    price_sheet_update(user=operator, currency="JPY", prices={"ml.c5.xlarge": "32"})
    assert [sheet.prices for sheet in PriceSheet.objects.order_by("pk")] == [
        {"ml.c5.xlarge": "31.5"},
        {"ml.c5.xlarge": "32"},
    ]
    event = AuditEvent.objects.filter(action="price_sheet.update").latest("pk")
    assert event.username == "olga" and event.detail == {"changed": {"ml.c5.xlarge": "32"}}
    job = job_made(alice, "now", ended_at=NOON, seconds=3600)
    assert training_job_cost(job, prices_now()).amount == 32


def test_what_is_deleted_was_spent_all_the_same(alice: Actor) -> None:
    job_made(alice, "gone-job", ended_at=NOON, seconds=3600, price_per_hour=Decimal("0.5"), currency="USD")
    endpoint = endpoint_made(alice, serverless_memory_mb=2048, serverless_max_concurrency=5, idle_after_s=60)
    for days, busy_ms in ((1, 30_000), (0, 70_000)):
        EndpointMetric.objects.create(
            endpoint=endpoint, variant="AllTraffic", minute_at=NOON - days * DAY, busy_ms=busy_ms
        )
    before = spent(alice)
    training_job_delete(actor=alice, name="gone-job")
    endpoint_delete(actor=alice, name="small")
    after = spent(alice)
    assert not Endpoint.objects.exists() and not TrainingJob.objects.exists()
    assert [(one.kind, one.name, one.detail, one.cost.amount) for one in after.spent] == [
        (one.kind, one.name, one.detail, one.cost.amount) for one in before.spent
    ]
    assert not any(one.exists for one in after.spent)
    assert (after.total, after.days) == (before.total, before.days)


def test_a_job_that_never_ran_leaves_nothing(alice: Actor) -> None:
    job = job_made(alice, "never", ended_at=NOON, seconds=0, status="Stopped", billable_s=0)
    TrainingJob.objects.filter(pk=job.pk).update(started_at=None)
    training_job_delete(actor=alice, name="never")
    assert spent(alice).spent == []


def test_what_an_endpoint_costs_is_asked_as_often_however_often_it_slept(
    alice: Actor, django_assert_max_num_queries: Any
) -> None:
    endpoint = endpoint_made(alice, instance_type="ml.m5.large", idle_after_s=60)
    for minutes in range(40):
        begun = NOON + timedelta(minutes=minutes)
        run_made(
            alice,
            endpoint=endpoint,
            endpoint_uid=endpoint.uid,
            started_at=begun,
            ended_at=begun + timedelta(seconds=30),
            price_per_hour=Decimal(3) if minutes % 2 else None,
            currency="USD",
        )
    with django_assert_max_num_queries(6):
        cost = endpoint_cost(endpoint)
    assert cost.seconds == 40 * 30
    assert cost.amount == pytest.approx(Decimal(600) * (3 + Decimal("0.115")) / 3600)
