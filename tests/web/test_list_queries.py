"""Every list, page or REST: few queries, and as many for a long list as for a short one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.core.paginator import Page as ConsolePage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mlplatform.core.models import Project, Role
from mlplatform.core.pages import Page
from mlplatform.core.people.access import access_key_create
from mlplatform.web.shortlist import ShortList
from tests.list_addresses import NO_LISTS, Face, ListAddress, address_of, list_addresses
from tests.list_rows import rows_of_every_list

pytestmark = pytest.mark.django_db
N_QUERIES: Final = 6
MORE_ALLOWED: Final = {
    "/projects/{project}/": 32,
    "/projects/{project}/costs/": 11,
    "/projects/{project}/workers/": 12,
    "/projects/{project}/endpoints/{endpoint}/async/": 10,
}
"""Pages that show several things beside a list, or one thing with a list of others: a fixed number of queries too."""
NAMES: Final = {
    "tuning_job": "tuning-0",
    "endpoint": "endpoint-0",
    "dataset": "dataset-0",
}
OF_FILES: Final = ("/rows/", "/metrics/")
"""Lists of what lies in one file, and not in rows."""


@pytest.fixture
def alice() -> User:
    user = User.objects.create_user("alice", password="of alice only")
    user.is_staff = user.is_superuser = True
    user.save()
    project = Project.objects.create(name="alpha", account_id="111111111111")
    project.memberships.create(user=user, role=Role.ADMIN)
    return user


def clients(user: User) -> dict[str, tuple[Client, dict[str, str]]]:
    key, secret = access_key_create(user=user, project=Project.objects.get(name="alpha"))
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(user)
    bearer = {"Authorization": f"Bearer {key.key_id}.{secret}"}
    return {
        Face.PAGE: (browser, {}),
        Face.REST: (Client(SERVER_NAME="localhost"), bearer),
        Face.CONSOLE: (browser, {}),
    }


def address(one: ListAddress) -> str:
    kind = one.path.removeprefix("/api/v1/projects/{project}/").partition("/")[0].removesuffix("-jobs")
    name = {"training": "job"}.get(kind, kind.rstrip("s")) + "-0"
    return one.path.format(project="alpha", name=name, uid="0", **NAMES)


def counted(reached: dict[str, tuple[Client, dict[str, str]]]) -> Iterator[tuple[str, int]]:
    """Queries of each list as it is."""
    for one in list_addresses():
        if any(part in one.path for part in OF_FILES):
            continue
        client, headers = reached[one.face]
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address(one), headers=headers)
        assert answer.status_code == 200, f"{address(one)}: {answer.status_code}"
        yield one.path, len(captured)


def test_no_list_needs_more_queries_when_it_is_longer(alice: User) -> None:
    project = Project.objects.get(name="alpha")
    reached = clients(alice)
    rows_of_every_list(project, alice, n=2)
    for face, warm in {Face.PAGE: "/projects/alpha/models/", Face.REST: "/api/v1/projects/"}.items():
        reached[face][0].get(warm, headers=reached[face][1])  # writes what is written once in a while
    few = dict(counted(reached))
    rows_of_every_list(project, alice, n=8, begin=2)
    many = dict(counted(reached))
    grown = {path: (n, many[path]) for path, n in few.items() if many[path] > n}
    assert grown == {}
    allowed = {path: MORE_ALLOWED.get(path, 30 if path.startswith("/admin/") else N_QUERIES) for path in many}
    too_many = {path: n for path, n in many.items() if n > allowed[path]}
    assert too_many == {}


def test_every_filter_and_order_of_a_list_is_answered_on_every_page(alice: User) -> None:
    rows_of_every_list(Project.objects.get(name="alpha"), alice, n=4)
    client, headers = clients(alice)[Face.REST]
    for one in list_addresses():
        for query in one.queries:
            asked: dict[str, Any] = {**query, **({"limit": "1"} if "order" in query else {})}
            answer = client.get(address_of(address(one), asked), headers=headers)
            expected = {200, 404} if any(part in one.path for part in OF_FILES) else {200}
            assert answer.status_code in expected, f"{address(one)} {asked}: {answer.content[:300]!r}"
            if answer.status_code == 200 and answer.json()["next"]:
                after = client.get(
                    address_of(address(one), asked | {"cursor": answer.json()["next"]}), headers=headers
                )
                assert after.status_code == 200 and len(after.json()["items"]) == 1


def test_whatever_page_shows_a_list_is_known_as_one(alice: User) -> None:
    from tests.web.test_every_address import ADDRESSES

    rows_of_every_list(Project.objects.get(name="alpha"), alice, n=1)
    client = clients(alice)[Face.PAGE][0]
    known = {address(one).partition("?")[0] for one in list_addresses()}
    for path in ADDRESSES:
        below = path.removeprefix("/projects/alpha/")
        if below == path or "knn" in below or "+" in below or below in NO_LISTS:
            continue
        answer = client.get(path)
        shown = [value for context in answer.context or () for value in context.flatten().values()]
        if any(isinstance(value, Page | ShortList | ConsolePage) for value in shown):
            assert path in known
