"""Pages of costs and of the price sheet: what was spent, on what, and who may set prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import PriceSheet
from mlplatform.core import clock
from tests.spending import job_made, run_made
from tests.web.conftest import Visitor

SHEET = "/prices/"


@pytest.fixture
def olga(alice: Visitor) -> Client:
    """An operator."""
    client = Client()
    client.force_login(User.objects.create_user("olga", is_staff=True))
    return client


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined, no-any-return]


def test_an_empty_project_is_told_so(alice: Visitor) -> None:
    page = alice.get("costs")
    assert page.status_code == 200 and "Nothing was used in this time" in text(page)


def test_the_dearest_comes_first_with_links_to_what_still_is(bob: Visitor) -> None:
    now = clock.now()
    job_made(bob.actor, "small", ended_at=now, seconds=60)
    job_made(bob.actor, "large", ended_at=now, seconds=36_000)
    run_made(
        bob.actor,
        started_at=now - timedelta(hours=1),
        ended_at=now,
        price_per_hour=Decimal("0.5"),
        currency="USD",
    )
    page = text(bob.get("costs"))
    assert page.index(">large</a>") < page.index("gone <span") < page.index(">small</a>")
    assert "2.04 USD" in page and "0.00340 USD" in page and 'name="costs"' in page
    assert "deleted" in page
    only = text(bob.get("costs", {"kind": "endpoint"}, htmx=True))
    assert "gone" in only and ">large<" not in only and "<html" not in only


def test_the_table_comes_as_a_file(bob: Visitor) -> None:
    job_made(bob.actor, "one", ended_at=clock.now(), seconds=3600)
    answer = bob.get("costs", {"as": "csv"})
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert content.splitlines()[1].startswith("training_job,one,ml.c5.xlarge,1,3600,0.204,USD,")


@pytest.mark.parametrize(
    "query", [{"since": "x"}, {"since": "2026-02-01", "until": "2026-01-01"}, {"until": "9999-12-31"}]
)
def test_days_that_cannot_be_are_told(bob: Visitor, query: dict[str, str]) -> None:
    page = bob.get("costs", query)
    assert page.status_code == 200 and 'role="alert"' in text(page)


def test_a_job_is_put_beside_separate_ones(bob: Visitor) -> None:
    now = clock.now()
    job_made(bob.actor, "both", ended_at=now, seconds=6, input_bytes=100)
    job_made(bob.actor, "x", ended_at=now, seconds=4, input_bytes=100)
    job_made(bob.actor, "c", ended_at=now, seconds=6, input_bytes=100)
    page = text(bob.get("costs-together", {"separate": ["x", "c"]}, name="both"))
    assert page.count("× 0.60") == 2 and "× 0.50" in page
    assert "No other job" in text(bob.get("costs-together", name="both"))
    assert "0 jobs" not in text(bob.get("costs-together", {"chosen": "1"}, name="both"))
    assert bob.get("costs-together", name="ghost").status_code == 404


def test_a_jobs_page_says_what_it_cost(bob: Visitor) -> None:
    job_made(
        bob.actor, "one", ended_at=clock.now(), seconds=3600, price_per_hour=Decimal("31.5"), currency="JPY"
    )
    page = text(bob.get("training-job-detail", name="one"))
    assert "31.50 JPY" in page and "31.5 JPY per hour" in page and "/costs/together/one/" in page
    assert " ".join(page.split()).count('<span class="sub">· ') == 2  # the parts stand apart


def test_everybody_reads_the_sheet_and_operators_change_it(bob: Visitor, olga: Client) -> None:
    assert 'name="price:' not in text(bob.client.get(SHEET))
    assert bob.client.post(SHEET, {"currency": "USD"}).status_code == 403
    given = {
        "currency": "JPY",
        "price:ml.c5.xlarge": "31.5",
        "price:ml.m5.large": "0.115",
        "note": "November",
    }
    assert olga.post(SHEET, given).status_code == 302
    sheet = PriceSheet.objects.get()
    assert (sheet.currency, sheet.prices, sheet.note) == ("JPY", {"ml.c5.xlarge": "31.5"}, "November")
    page = text(bob.client.get(SHEET))
    assert "31.5" in page and "November" in page and "All prices are in JPY" in page
    assert "JPY per hour" in text(bob.get("worker-list"))


def test_a_price_that_is_none_is_refused_at_its_field_and_kept(olga: Client) -> None:
    page = olga.post(SHEET, {"currency": "yen", "price:ml.c5.xlarge": "dear"})
    assert page.status_code == 400 and PriceSheet.objects.count() == 0
    said = text(page)
    assert 'value="dear"' in said and "not a price" in said and "ISO 4217" in said
