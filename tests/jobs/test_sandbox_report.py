"""Operators see how the processes of jobs and models are kept apart: the doctor, and the page of workers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.doctor import sandbox_check
from jobs.runner.isolation import Isolation
from mlplatform.core import clock
from mlplatform.core.health.doctor import Level
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import project_create

ENCLOSED = Isolation("/usr/bin/bwrap")
MISSING = Isolation(reason="bubblewrap is not installed", missing=True)
FORBIDDEN = Isolation(reason="bubblewrap does not work here (setting up uid map: Permission denied)")


def _worker(name: str, found: Isolation) -> None:
    node_beat(kind=NodeKind.WORKER, name=name, started_at=clock.now(), queues=["cpu"], info=found.report())


@pytest.mark.django_db
def test_the_doctor_warns_of_processes_without_a_sandbox_and_says_how_to_get_one() -> None:
    assert list(sandbox_check()) == []
    _worker("a", ENCLOSED)
    assert [finding.level for finding in sandbox_check()] == [Level.OK]
    _worker("b", MISSING)
    _worker("c", FORBIDDEN)
    missing, forbidden = sandbox_check()
    assert {missing.level, forbidden.level} == {Level.WARNING}
    assert "bubblewrap is not installed" in str(missing.summary)
    assert "apt-get install bubblewrap" in str(missing.remedy)
    assert "uid map: Permission denied" in str(forbidden.summary)
    assert "user namespaces" in str(forbidden.remedy)


@pytest.mark.django_db
def test_the_page_of_workers_says_which_isolation_is_in_force(client: Client) -> None:
    user = User.objects.create_user("alice", password="correct horse battery")
    project_create(user=user, name="alpha")
    client.force_login(user)
    _worker("a", ENCLOSED)
    _worker("b", MISSING)
    page = client.get("/projects/alpha/workers/").content.decode()
    rows = {name: page.split(f'<span class="name">{name}</span>')[1].split("</tr>")[0] for name in "ab"}
    assert "bubblewrap" in rows["a"]
    assert "bubblewrap" not in rows["b"]
    assert "none" in rows["b"]
