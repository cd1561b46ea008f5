"""A project's costs, which the database sums up, against a loop over all rows in exact fractions, on random rows."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

import pytest

from endpoints.models import EndpointMetric, ReplicaRun, TransformJob
from endpoints.selectors.costs import Spender, endpoint_cost
from endpoints.selectors.project_costs import project_costs
from jobs.models import PriceSheet, SpentRecord, TrainingJob, TuningJob, TuningTrial
from mlplatform.core import clock
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from tests.spending import endpoint_made, job_made, model_made, run_made, transform_made

NOW: Final = datetime(2026, 11, 20, 9, 30, 15, 250_001, tzinfo=UTC)
MIDNIGHT: Final = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
DAY: Final = timedelta(days=1)
SHEET: Final = {
    "ml.c5.xlarge": Fraction(17, 50),
    "ml.m5.large": Fraction(115, 1000),
    "local.cpu": Fraction(0),
}
GB_S: Final = Fraction(3, 100_000)
PERIODS: Final = [
    (MIDNIGHT - 6 * DAY, MIDNIGHT + DAY),
    (MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY),
    (MIDNIGHT - 20 * DAY, MIDNIGHT - 5 * DAY),
]
MICROSECOND: Final = timedelta(microseconds=1)


class Part(NamedTuple):
    """What one row cost on one day."""

    kind: str
    name: str
    day: str
    seconds: Fraction
    amount: Fraction


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture(params=range(3))
def dice(request: pytest.FixtureRequest, alice: Actor) -> random.Random:
    """Throws of which rows of everything that costs have been made."""
    dice = random.Random(request.param)
    prices = {name: str(float(price)) for name, price in SHEET.items()}
    PriceSheet.objects.create(currency="USD", prices=prices | {"serverless": "0.00003"}, created_at=NOW)
    _jobs(alice, dice)
    _transforms(alice, dice)
    _lives(alice, dice)
    _lives_of_the_same_days(alice, dice)
    _serverless(alice, dice)
    _records(alice, dice)
    return dice


def test_sums_are_those_of_a_loop_over_all_rows(alice: Actor, dice: random.Random) -> None:
    for since, until in PERIODS:
        parts = list(_parts(since, until))
        costs = project_costs(actor=alice, since=since, until=until)
        assert costs.currency == "USD" and len(parts) > 10
        for kind in Spender:
            found = [part for part in parts if part.kind == kind]
            assert _near(costs.by_kind[kind].amount, sum(part.amount for part in found))
            assert costs.by_kind[kind].seconds == pytest.approx(float(sum(part.seconds for part in found)))
            for day, amounts in costs.days.items():
                assert _near(amounts[kind], sum(part.amount for part in found if part.day == day))
        assert _near(costs.total.amount, sum(part.amount for part in parts))
        by_name: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for part in parts:
            by_name[part.kind, part.name] += part.amount
        listed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for one in costs.spent:
            listed[one.kind.value, one.name] += one.cost.amount or 0
        assert set(by_name) <= set(listed)
        assert all(_near(amount, by_name.get(thing, 0)) for thing, amount in listed.items())


def test_a_list_of_the_dearest_is_the_head_of_the_whole(alice: Actor, dice: random.Random) -> None:
    for most, (since, until) in zip((1, 5, 12), PERIODS, strict=True):
        asks: list[dict[str, Any]] = [{}, {"search": "a"}, *({"kind": kind.value} for kind in Spender)]
        for asked in asks:
            whole = project_costs(actor=alice, since=since, until=until, **asked)
            head = project_costs(actor=alice, since=since, until=until, most=most, **asked)
            assert [one.cost.amount for one in head.spent] == [one.cost.amount for one in whole.spent[:most]]
            assert set(head.spent) <= set(whole.spent)
            assert head.n_spent == len(whole.spent) == whole.n_spent
            assert (head.total, head.by_kind, head.days) == (whole.total, whole.by_kind, whole.days)


def test_an_endpoint_costs_what_its_lives_do(alice: Actor, dice: random.Random) -> None:
    since, until = NOW - 100 * DAY, NOW + DAY
    parts = [part for part in _parts(since, until) if part.name == "lives-0"]
    endpoint = endpoint_made(alice, "lives-0", at=NOW, instance_type="ml.m5.large")
    ReplicaRun.objects.filter(endpoint_name="lives-0").update(endpoint_uid=endpoint.uid)
    assert _near(endpoint_cost(endpoint).amount, sum(part.amount for part in parts))


def _near(amount: Decimal | None, wanted: Fraction | int) -> bool:
    return amount is not None and abs(Fraction(amount) - wanted) < Fraction(1, 10**8)


def _ago(dice: random.Random, *, days: float = 12) -> datetime:
    """An instant of the last days; some of them midnights, which are the edges of days and periods."""
    if dice.random() < 0.2:
        return MIDNIGHT - dice.randrange(int(days)) * DAY
    return NOW - timedelta(microseconds=dice.randrange(int(days * 86_400_000_000)))


def _priced(dice: random.Random) -> dict[str, Any]:
    """A type, and the price that held at the end, unless there was none yet."""
    held = {"price_per_hour": Decimal(dice.randrange(1, 9_000_000)) / 1_000_000, "currency": "USD"}
    return {"instance_type": dice.choice([*SHEET, "ml.gone"])} | (held if dice.random() < 0.7 else {})


def _jobs(actor: Actor, dice: random.Random) -> None:
    tunings = [
        TuningJob.objects.create(
            project=actor.project,
            name=f"tuning-{number}",
            uid=uid_new(),
            objective_metric="loss",
            objective_type="Minimize",
            algorithm="xgboost",
            instance_type="ml.c5.xlarge",
            created_by=actor.user,
            created_at=NOW,
        )
        for number in range(3)
    ]
    for number in range(60):
        priced, seconds = _priced(dice), dice.randrange(90_000)
        job = job_made(
            actor, f"{dice.choice('abc')}-{number}", ended_at=_ago(dice), seconds=seconds, **priced
        )
        if number < 6:
            running = {"ended_at": None, "billable_s": None, "price_per_hour": None, "currency": ""}
            changes = running | {"status": "InProgress", "instance_count": dice.randrange(1, 4)}
            TrainingJob.objects.filter(pk=job.pk).update(**changes)
        elif number < 9:
            TrainingJob.objects.filter(pk=job.pk).update(billable_s=None)
        if number % 3 == 0:
            TuningTrial.objects.create(
                tuning_job=dice.choice(tunings),
                number=number,
                job_name=job.name,
                training_job=job,
                created_at=NOW,
            )


def _transforms(actor: Actor, dice: random.Random) -> None:
    model = model_made(actor, "transforms", at=NOW)
    for number in range(20):
        begun, seconds = _ago(dice), dice.randrange(9_000)
        ended = {
            "status": "Completed",
            "ended_at": min(NOW, begun + timedelta(seconds=seconds)),
            "billable_s": seconds,
        }
        running = number < 2
        transform_made(
            actor,
            f"transform-{number}",
            model=model,
            started_at=begun,
            **({"instance_type": "ml.m5.large", "instance_count": 2} if running else _priced(dice) | ended),
        )


def _lives(actor: Actor, dice: random.Random) -> None:
    """Short ones and such of many days, some without an end: alive, or last seen some time ago."""
    for number in range(80):
        begun = _ago(dice, days=24)
        length = timedelta(microseconds=int(10 ** dice.uniform(0, 12.2)))
        ended = None if number % 8 == 0 else min(NOW, begun + length)
        seen = dice.choice([NOW - timedelta(seconds=30), min(NOW, begun + length), None])
        run_made(
            actor,
            endpoint_name=f"lives-{number % 5}",
            endpoint_uid=f"{number % 5:026}",
            started_at=begun,
            ready_at=dice.choice([None, begun]),
            ended_at=ended,
            seen_at=seen,
            memory_mb=2048 if number % 11 == 0 else None,
            **_priced(dice),
        )


def _lives_of_the_same_days(actor: Actor, dice: random.Random) -> None:
    """Which the database adds up before they are divided into days."""
    for number in range(8):
        run_made(
            actor,
            endpoint_name=f"lives-{number % 3}",
            endpoint_uid=f"{number % 3:026}",
            started_at=MIDNIGHT - 5 * DAY + timedelta(seconds=dice.uniform(0, 86_000)),
            ended_at=MIDNIGHT - 2 * DAY + timedelta(seconds=dice.uniform(0, 86_000)),
            instance_type="ml.m5.large",
        )


def _serverless(actor: Actor, dice: random.Random) -> None:
    for number in range(2):
        endpoint = endpoint_made(
            actor, f"serverless-{number}", at=NOW, serverless_memory_mb=1024 * (1 + number)
        )
        minutes = {_ago(dice).replace(second=0, microsecond=0) for _ in range(30)}
        for minute_at in minutes:
            for variant in ("AllTraffic", "gone"):
                EndpointMetric.objects.create(
                    endpoint=endpoint, variant=variant, minute_at=minute_at, busy_ms=dice.randrange(60_000)
                )


def _records(actor: Actor, dice: random.Random) -> None:
    for number in range(40):
        SpentRecord.objects.create(
            project=actor.project,
            kind=dice.choice(list(Spender)).value,
            name=f"removed-{number % 25}",
            detail=dice.choice(["ml.m5.large", "serverless"]),
            seconds=dice.randrange(10_000) / 8,
            amount=Decimal(dice.randrange(10**10)) / 10**9,
            currency="USD",
            at=_ago(dice),
        )


def _parts(since: datetime, until: datetime) -> Iterator[Part]:
    """Of each row, one after the other."""
    for kind, jobs in (
        ("training_job", TrainingJob.objects.all()),
        ("transform_job", TransformJob.objects.all()),
    ):
        yield from _job_parts(kind, jobs, since, until)
    for run in ReplicaRun.objects.filter(memory_mb=None):
        seen = run.seen_at or run.ready_at or run.started_at
        alive_until = NOW if NOW - seen < timedelta(minutes=2) else seen
        at, end = max(since, run.started_at), min(until, run.ended_at or alive_until)
        while at < end:
            tomorrow = datetime(at.year, at.month, at.day, tzinfo=UTC) + DAY
            yield _part(
                "endpoint",
                run.endpoint_name,
                at,
                Fraction((min(end, tomorrow) - at) // MICROSECOND, 10**6),
                run,
            )
            at = tomorrow
    for minute in EndpointMetric.objects.filter(
        variant="AllTraffic", minute_at__gte=since, minute_at__lt=until
    ):
        seconds = Fraction(minute.busy_ms, 1000)
        gigabytes = 1 + int(minute.endpoint.name[-1])
        name, day = minute.endpoint.name, f"{minute.minute_at:%Y-%m-%d}"
        yield Part("endpoint", name, day, seconds, seconds * gigabytes * GB_S)
    for record in SpentRecord.objects.filter(at__gte=since, at__lt=until):
        amount, seconds = Fraction(record.amount), Fraction(record.seconds)
        yield Part(record.kind, record.name, f"{record.at:%Y-%m-%d}", seconds, amount)


def _job_parts(kind: str, jobs: Any, since: datetime, until: datetime) -> Iterator[Part]:
    for job in jobs:
        if not since <= (job.ended_at or NOW) < until:
            continue
        seconds = (
            round((NOW - job.started_at).total_seconds()) * job.instance_count
            if job.ended_at is None
            else job.billable_s or 0
        )
        trial = getattr(job, "trial", None)
        name = trial.tuning_job.name if trial else job.name
        yield _part("tuning_job" if trial else kind, name, job.ended_at or NOW, Fraction(seconds), job)


def _part(kind: str, name: str, at: datetime, seconds: Fraction, row: Any) -> Part:
    given = row.price_per_hour
    price = SHEET.get(row.instance_type, Fraction(0)) if given is None else Fraction(given)
    return Part(kind, name, f"{at:%Y-%m-%d}", seconds, seconds * price / 3600)
