"""The operations console: every page opens, shows no secret, edits nothing, and acts through the services."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from jobs.models import Dataset, DatasetVersion, TrainingJob
from jobs.services.lifecycle import training_job_claim, training_job_finish
from mlplatform.core import clock
from mlplatform.core.models import AccessKey, Membership, Node, NodeKind, Project
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import access_key_create
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.test_delete import COMPLETED

TABLES = (Project, Membership, AccessKey, Node, Dataset, DatasetVersion, TrainingJob)
READ_ONLY = tuple(table for table in TABLES if table is not Project)


@pytest.fixture
def operator(cast: Cast) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client


@pytest.fixture
def secret(cast: Cast) -> str:
    """One of everything, and the secret of the one access key."""
    job_make(cast.alice, "shown", environment={"TOKEN": "hush-hush"})
    node_beat(kind=NodeKind.WORKER, name="w1", started_at=clock.now(), queues=["cpu"])
    return access_key_create(user=cast.alice.user, project=cast.alice.project)[1]


def _url(table: type[Any], page: str, *args: Any) -> str:
    return reverse(f"admin:{table._meta.app_label}_{table._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_page_opens_and_shows_no_secret(operator: Client, secret: str, table: type[Any]) -> None:
    key = AccessKey.objects.get()
    row = table.objects.first()
    for url in (_url(table, "changelist"), _url(table, "change", row.pk)):
        page = operator.get(url)
        assert page.status_code == 200
        text = page.content.decode()
        for hidden in (secret, key.secret_sha256, bytes(key.secret_encrypted).decode(), "hush-hush"):
            assert hidden not in text


@pytest.mark.parametrize("table", READ_ONLY, ids=lambda table: table.__name__)
def test_nothing_can_be_added_changed_or_deleted_past_the_services(
    operator: Client, secret: str, table: type[Any]
) -> None:
    row = table.objects.first()
    assert operator.get(_url(table, "add")).status_code == 403
    assert operator.post(_url(table, "change", row.pk), {"name": "x"}).status_code == 403
    assert operator.post(_url(table, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert table.objects.filter(pk=row.pk).exists()


def test_people_who_are_no_staff_are_sent_away(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.alice.user)
    assert client.get(_url(TrainingJob, "changelist")).status_code == 302


def test_an_operator_stops_and_deletes_jobs(operator: Client, cast: Cast) -> None:
    waiting, running = job_make(cast.alice, "waiting"), job_make(cast.alice, "running")
    training_job_claim(job_id=running.pk, owner="w1")
    chosen = {"_selected_action": [waiting.pk, running.pk]}
    operator.post(_url(TrainingJob, "changelist"), {"action": "stop", **chosen})
    assert [job.status for job in TrainingJob.objects.order_by("pk")] == ["Stopped", "Stopping"]
    page = operator.post(_url(TrainingJob, "changelist"), {"action": "delete", **chosen}, follow=True)
    assert [job.name for job in TrainingJob.objects.all()] == ["running"]
    assert "stop it and wait" in page.content.decode()


def test_an_operator_revokes_a_key(operator: Client, secret: str) -> None:
    key = AccessKey.objects.get()
    operator.post(_url(AccessKey, "changelist"), {"action": "revoke", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_staff_who_may_only_look_have_no_actions(cast: Cast) -> None:
    from django.contrib.auth.models import Permission

    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_trainingjob"))
    client = Client()
    client.force_login(clerk)
    job = job_make(cast.alice)
    assert client.get(_url(TrainingJob, "changelist")).status_code == 200
    client.post(_url(TrainingJob, "changelist"), {"action": "stop", "_selected_action": [job.pk]})
    job.refresh_from_db()
    assert job.status == "InProgress"


def test_the_list_of_jobs_takes_as_many_queries_for_one_as_for_many(
    operator: Client, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    for n in range(20):
        job = job_make(cast.alice)
        if n % 2:
            lease = training_job_claim(job_id=job.pk, owner="w")
            assert lease is not None
            training_job_finish(lease=lease, outcome=COMPLETED)
    operator.get(_url(TrainingJob, "changelist"))
    with django_assert_max_num_queries(12):
        operator.get(_url(TrainingJob, "changelist"))


def test_a_search_and_every_filter_work(operator: Client, secret: str) -> None:
    for table in TABLES:
        page = operator.get(_url(table, "changelist"), {"q": "w"})
        assert page.status_code == 200
        assert not admin.site._registry[table].show_full_result_count
