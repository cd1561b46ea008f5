"""Every page where there is one of everything: that it answers, and that it keeps to the strict policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mlplatform.core.models import Role
from tests.web.conftest import Visitor, visitor

STREET = [
    "/projects/alpha/",
    "/projects/alpha/datasets/",
    "/projects/alpha/datasets/+new/",
    "/projects/alpha/datasets/+new/?from=uri",
    "/projects/alpha/datasets/+new/?from=sample",
    "/projects/alpha/datasets/knn/",
    "/projects/alpha/datasets/knn/?tab=preview",
    "/projects/alpha/datasets/knn/?tab=charts",
    "/projects/alpha/datasets/knn/?tab=versions",
    "/projects/alpha/datasets/knn/?tab=lineage",
    "/projects/alpha/datasets/knn/?tab=split",
    "/projects/alpha/datasets/knn-train/?tab=lineage",
    "/projects/alpha/datasets/knn/versions/+new/",
    "/projects/alpha/datasets/knn/label/",
    "/projects/alpha/datasets/knn/delete/",
    "/projects/alpha/algorithms/",
    "/projects/alpha/algorithms/knn/",
    "/projects/alpha/training-jobs/",
    "/projects/alpha/training-jobs/knn/",
    "/projects/alpha/training-jobs/knn/?tab=metrics",
    "/projects/alpha/training-jobs/knn/?tab=logs",
    "/projects/alpha/training-jobs/knn/?tab=events",
    "/projects/alpha/training-jobs/knn/?tab=api",
    "/projects/alpha/models/",
    "/projects/alpha/models/knn/",
    "/projects/alpha/endpoints/",
    "/projects/alpha/endpoints/knn/",
    "/projects/alpha/experiments/",
    "/projects/alpha/experiments/+new/",
    "/projects/alpha/experiments/+new/?preset=knn-trade-off",
    "/projects/alpha/workers/",
    "/projects/alpha/access-keys/",
    "/projects/alpha/access-keys/+new/",
    "/projects/alpha/members/",
    "/projects/alpha/members/alice/remove/",
    "/projects/new/",
    "/preferences/",
    "/preferences/password/",
    "/styleguide/",
    "/login/",
    "/nothing/here/",
]


class Reader(HTMLParser):
    """What the strict policy would refuse, duplicate ids, controls without a name, and headings out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.controls: list[dict[str, str | None]] = []
        self.headings: list[int] = []
        self.described: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.faults += [
            f"<{tag} {name}>" for name in given if name == "style" or name.startswith(("on", "hx-on"))
        ]
        if tag == "style" or (
            tag == "script" and not given.get("src") and given.get("type") != "application/json"
        ):
            self.faults.append(f"inline <{tag}>")
        for name in ("src", "href", "action"):
            if (given.get(name) or "").startswith(("http:", "https:", "//", "javascript:")):
                self.faults.append(f"<{tag} {name}={given[name]}>")
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "label" and given.get("for"):
            self.labels.add(str(given["for"]))
        if tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit", "radio"):
            self.controls.append(given)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.described += (given.get("aria-describedby") or "").split()


@pytest.mark.django_db
@pytest.mark.parametrize("path", STREET)
def test_every_page_of_the_street_answers_and_keeps_to_the_policy(
    alice_at_street: Visitor, path: str, client: Client
) -> None:
    alice_at_street.user.is_staff = True
    alice_at_street.user.save()
    if path != "/login/":
        client.force_login(alice_at_street.user)
    response = client.get(path)
    assert response.status_code == (404 if path == "/nothing/here/" else 200)
    reader = Reader()
    reader.feed(response.content.decode())
    assert reader.faults == []
    assert len(reader.ids) == len(set(reader.ids)), [one for one in reader.ids if reader.ids.count(one) > 1]
    unnamed = [
        given
        for given in reader.controls
        if not given.get("aria-label")
        and not given.get("aria-labelledby")
        and given.get("id") not in reader.labels
    ]
    assert [given for given in unnamed if given.get("type") != "checkbox"] == []
    assert set(reader.described) <= set(reader.ids)
    steps = [after - before for before, after in zip(reader.headings, reader.headings[1:], strict=False)]
    assert max(steps, default=0) <= 1, reader.headings
    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path in STREET if "/projects/alpha/" in path])
def test_every_page_is_shown_to_a_viewer_or_refused_in_words(alice_at_street: Visitor, path: str) -> None:
    bob = visitor("bob", alice_at_street.project, Role.VIEWER)
    response = bob.client.get(path)
    assert response.status_code in (200, 403)
    assert (response.status_code == 200) or b"role" in response.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", STREET)
def test_every_page_is_there_in_japanese(alice_at_street: Visitor, path: str, client: Client) -> None:
    if path != "/login/":
        client.force_login(alice_at_street.user)
    response = client.get(path, headers={"Accept-Language": "ja"})
    assert b'<html lang="ja"' in response.content


def test_the_home_page_counts_steps_and_shows_what_there_is(alice_at_street: Visitor) -> None:
    overview = alice_at_street.get("project-home").context["overview"]
    assert overview.n_datasets == 3
    assert overview.job_counts["Completed"] == 1
    assert [step.done for step in overview.steps[:2]] == [True, True]
    assert overview.disk.size.total_bytes > overview.disk.size.used_bytes > 0
    assert overview.disk.project.datasets_bytes > 0
    assert [row.endpoint.name for row in overview.endpoints] == ["knn"]
    assert len(overview.endpoints[0].requests) == 60


def test_the_doctor_names_no_object_of_a_project_and_no_secret(
    alice_at_street: Visitor, settings: Any
) -> None:
    User.objects.filter(pk=alice_at_street.user.pk).update(is_staff=True)
    page = alice_at_street.client.get("/doctor/?now").content.decode()
    told = page[page.index('id="doctor"') :]
    assert "endpoints are in service" in told
    for hidden in (settings.SECRET_KEY, "alpha", "knn"):
        assert hidden not in told
