"""Where people and operators see how long things are kept and what waits to be deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import strip_tags

from mlplatform.core import clock
from mlplatform.core.keeping.retention import retention_sweep
from mlplatform.core.keeping.sweeps import sweep_now
from mlplatform.core.models import AuditEvent, ObjectTombstone
from tests.web.conftest import Visitor


def test_the_page_of_workers_shows_what_is_in_force_and_what_was_removed_last(
    alice: Visitor, settings: Any
) -> None:
    settings.MLPLATFORM_KEEP_LOGS_DAYS = 0
    settings.MLPLATFORM_KEEP_AUDIT_DAYS = 17
    AuditEvent.objects.create(at=clock.now() - timedelta(days=18), action="x", outcome="done", face="api")
    assert retention_sweep().n_done == 1
    sweep_now("retention")
    page = alice.get("worker-list").content.decode()
    shown = " ".join(strip_tags(page[page.index('id="kept"') :]).split())
    assert "Logs of ended training jobs ever MLPLATFORM_KEEP_LOGS_DAYS" in shown
    assert "Audit log 17 days MLPLATFORM_KEEP_AUDIT_DAYS" in shown


@pytest.mark.django_db
def test_operators_see_tombstones_and_sweeps_and_change_nothing() -> None:
    User.objects.create_superuser("root", password="a long password")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    row = ObjectTombstone.objects.create(
        uri="s3://mlplatform-1/datasets/0/data.csv", reason="dataset", n_tries=3, last_error="no route"
    )
    sweep_now("leftovers")
    listed = client.get("/admin/core/objecttombstone/").content.decode()
    assert "s3://mlplatform-1/datasets/0/data.csv" in listed and "no route" in listed
    assert "leftovers" in client.get("/admin/core/sweepstate/").content.decode()
    assert client.get("/admin/core/objecttombstone/add/").status_code == 403
    assert client.post(f"/admin/core/objecttombstone/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert ObjectTombstone.objects.exists()
