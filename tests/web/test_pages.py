"""Every page: who may see it, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, reverse

from jobs.algorithms.registry import algorithm_list
from mlplatform.core.models import AccessKey, Membership, Project, Role
from mlplatform.core.request_id import request_id_of
from mlplatform.web import urls
from tests.web.conftest import Visitor

TEMPLATES = Path(settings.BASE_DIR) / "templates"
PUBLIC = {"login", "asset", "logout", "language", "theme"}
NAMES = {
    "name": "knn",
    "key_id": "none",
    "username": "erin",
    "uid": "none",
    "table": "cells",
    "path": "train.py",
    "inference_id": "none",
}


def patterns(
    found: list[Any] | None = None, prefix: tuple[str, ...] = ()
) -> list[tuple[str, tuple[str, ...]]]:
    """The name of every page and the arguments of its address."""
    pages: list[tuple[str, tuple[str, ...]]] = []
    for one in urls.urlpatterns if found is None else found:
        arguments = (*prefix, *one.pattern.converters)
        if isinstance(one, URLResolver):
            pages += patterns(one.url_patterns, arguments)
        elif isinstance(one, URLPattern) and one.name:
            pages.append((one.name, arguments))
    return pages


PAGES = [(name, arguments) for name, arguments in patterns() if name not in PUBLIC]
IN_PROJECT = [(name, arguments) for name, arguments in PAGES if "project" in arguments]


def address(name: str, arguments: tuple[str, ...], project: str = "alpha") -> str:
    values = {"project": project, **NAMES}
    return reverse(f"web:{name}", kwargs={argument: values[argument] for argument in arguments})


@pytest.mark.parametrize(("name", "arguments"), PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_sees_no_page(db: None, name: str, arguments: tuple[str, ...], method: str) -> None:
    response = getattr(Client(), method)(address(name, arguments))
    assert response.status_code in (302, 401, 405)
    if response.status_code == 302:
        assert response["Location"].startswith("/login/")


@pytest.mark.parametrize(("name", "arguments"), IN_PROJECT)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_member_of_another_project_finds_nothing(
    alice: Visitor, charlie: Visitor, name: str, arguments: tuple[str, ...], method: str
) -> None:
    response = getattr(charlie.client, method)(address(name, arguments))
    assert response.status_code in (404, 405)
    assert b"alice" not in response.content


CHANGES_NOTHING = {"access-key-new", "endpoint-invoke", "training-job-metric-test"}
"""What a viewer may post: their own key, a prediction, trying a regular expression."""


@pytest.mark.parametrize(
    ("name", "arguments"), [page for page in IN_PROJECT if page[0] not in CHANGES_NOTHING]
)
def test_a_viewer_may_post_nowhere_that_changes_the_project(
    bob: Visitor, name: str, arguments: tuple[str, ...]
) -> None:
    response = bob.client.post(address(name, arguments))
    assert response.status_code in (403, 404, 405)


def test_a_page_shows_its_request_id_in_an_error_as_the_header_has_it(alice: Visitor) -> None:
    response = alice.get("dataset-detail", name="nothing")
    assert response.status_code == 404
    assert response["X-Request-Id"] in response.content.decode()
    fragment = alice.get("dataset-detail", htmx=True, name="nothing")
    assert fragment["HX-Retarget"] == "#messages"
    assert b"<html" not in fragment.content


def test_an_error_of_ours_is_a_page_without_a_traceback(alice: Visitor, settings: Any) -> None:
    alice.get("dataset-list")
    settings.OBJECT_STORE_URL = "file:///proc/nothing"
    client = alice.client
    client.raise_request_exception = False
    form = {"name": "x", "sample": "iris"}
    response = client.post(f"{alice.url('dataset-new')}?from=sample", form)
    assert response.status_code >= 500
    assert response["X-Request-Id"] in response.content.decode()
    assert "Traceback" not in response.content.decode()


def test_the_home_page_of_an_empty_project_leads_through_the_first_steps(alice: Visitor) -> None:
    response = alice.get("project-home")
    assert response.context["overview"].n_steps_done == 0
    assert alice.url("dataset-new") in response.content.decode()


def test_the_page_of_an_algorithm_names_every_hyperparameter(bob: Visitor) -> None:
    for spec in algorithm_list():
        page = bob.get("algorithm-detail", name=spec.name).content.decode()
        for declared in spec.hyperparameters:
            assert declared.name in page
        for channel in spec.channels:
            assert channel.name in page


def test_an_unknown_algorithm_is_not_found_with_a_hint(bob: Visitor) -> None:
    response = bob.get("algorithm-detail", name="kn")
    assert response.status_code == 404
    assert b"knn" in response.content


def test_the_project_switch_lists_all_projects_of_the_person_and_no_other(
    alice: Visitor, charlie: Visitor
) -> None:
    page = alice.get("project-home").content.decode()
    assert "/projects/alpha/" in page and "/projects/gamma/" not in page
    Membership.objects.create(user=alice.user, project=charlie.project, role=Role.VIEWER)
    assert "/projects/gamma/" in alice.get("project-home").content.decode()


def test_a_key_or_project_name_in_an_address_is_never_a_path(alice: Visitor) -> None:
    for project in ("..", "%2e%2e", "alpha%00", "a" * 300):
        assert alice.client.get(f"/projects/{project}/").status_code in (301, 404)
    assert Project.objects.count() == 1 and not AccessKey.objects.exists()


@pytest.mark.parametrize(
    "template",
    sorted(
        str(path.relative_to(settings.BASE_DIR / "templates"))
        for path in Path(settings.BASE_DIR / "templates").rglob("*.html")
    ),
)
def test_every_template_compiles(template: str) -> None:
    get_template(template)


def test_a_failure_of_the_design_itself_still_gives_an_answer_with_the_request_id(
    db: None, settings: Any
) -> None:
    from mlplatform.web.views.problems import server_error

    settings.TEMPLATES = []
    request = RequestFactory().get("/")
    response = server_error(request)
    assert response.status_code == 500
    assert request_id_of(request) in response.content.decode()
