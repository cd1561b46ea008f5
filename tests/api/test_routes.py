"""Every route × method × identity, from the URL table itself: a route without a rule fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver
from rest_framework.test import APIClient

from mlplatform.api import urls
from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView
from mlplatform.core.models import AccessKey, Role
from tests.api.conftest import BASE, Person

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROLES = {Rule.VIEWER: Role.VIEWER, Rule.EDITOR: Role.EDITOR, Rule.ADMIN: Role.ADMIN}
_RANK = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2}
VALUES = {
    "name": "ghost",
    "username": "ghost",
    "key_id": "MLPKGHOST",
    "uid": "0" * 26,
    "table": "accuracy",
    "path": "train.py",
}


def routes(
    patterns: list[URLPattern | URLResolver] = urls.urlpatterns, prefix: str = ""
) -> Iterator[tuple[str, type[ApiView]]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        elif pattern.name != "unknown":
            yield prefix + str(pattern.pattern), pattern.callback.view_class


def address(route: str, project: str) -> str:
    path = "/".join(
        part if not part.startswith("<") else VALUES.get(part[1:-1].rpartition(":")[2], project)
        for part in route.split("/")
    )
    return f"{BASE}/{path}"


ROUTES = sorted(routes(), key=lambda found: found[0])
CASES = [(route, view, method) for route, view in ROUTES for method in METHODS]
DECLARED = [(route, view, method) for route, view, method in CASES if hasattr(view, method.lower())]


def methods_of(view: type[ApiView]) -> list[str]:
    """The methods that the view has."""
    return [method for method in METHODS if hasattr(view, method.lower())]


def named(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def asked(client: APIClient, method: str, path: str) -> Any:
    return client.generic(method, path, b"{}", content_type="application/json")


@pytest.mark.parametrize(("route", "view", "method"), DECLARED, ids=named)
def test_every_method_of_every_route_declares_a_rule(route: str, view: type[ApiView], method: str) -> None:
    assert issubclass(view, ApiView)
    rule = view.access.get(method)
    assert isinstance(rule, Rule), f"{method} {route} has no rule"
    if "<name:project>" in route:
        assert rule in ROLES, f"{method} {route} is in a project and asks for no role"
    if method not in {"GET", "POST"}:
        assert rule in {*ROLES, Rule.OPERATOR}, "nobody but operators changes what belongs to no project"


@pytest.mark.parametrize(("route", "view"), ROUTES, ids=named)
def test_no_rule_is_declared_for_a_method_that_is_none(route: str, view: type[ApiView]) -> None:
    assert {method for method in METHODS if hasattr(view, method.lower())} == set(view.access)


@pytest.mark.once
@pytest.mark.parametrize(("route", "view"), ROUTES, ids=named)
def test_nobody_gets_in_without_credentials(route: str, view: type[ApiView], alice: Person) -> None:
    for method in METHODS:
        status = asked(APIClient(), method, address(route, "alpha")).status_code
        if not hasattr(view, method.lower()):
            assert status == 405, method
        elif view.access[method] is Rule.PUBLIC:
            assert status == 200, method
        else:
            assert status == 401, method


@pytest.mark.once
@pytest.mark.parametrize(("route", "view"), ROUTES, ids=named)
def test_a_revoked_key_opens_no_route(route: str, view: type[ApiView], alice: Person) -> None:
    AccessKey.objects.update(revoked_at="2026-01-01T00:00:00Z")
    for method in methods_of(view):
        status = asked(alice.client, method, address(route, "alpha")).status_code
        assert status == (200 if view.access[method] is Rule.PUBLIC else 401), method


@pytest.mark.parametrize(
    ("route", "view"), [found for found in ROUTES if "<name:project>" in found[0]], ids=named
)
def test_a_member_of_another_project_finds_nothing(
    route: str, view: type[ApiView], alice: Person, charlie: Person
) -> None:
    signed_in = APIClient()
    signed_in.force_login(charlie.user)
    for client in (charlie.client, signed_in):
        for method in methods_of(view):
            foreign = asked(client, method, address(route, "alpha"))
            unknown = asked(client, method, address(route, "never-was"))
            assert (foreign.status_code, unknown.status_code) == (404, 404), method
            assert _impersonal(foreign, "alpha") == _impersonal(unknown, "never-was"), method


@pytest.mark.parametrize(
    ("route", "view", "method"), [case for case in DECLARED if case[1].access[case[2]] in ROLES], ids=named
)
@pytest.mark.parametrize("role", Role.values)
def test_a_members_role_decides(
    route: str, view: type[ApiView], method: str, role: str, alice: Person, erin: Person, bob: Person
) -> None:
    member = {"admin": alice, "editor": erin, "viewer": bob}[role]
    status = asked(member.client, method, address(route, "alpha")).status_code
    admitted = _RANK[Role(role)] >= _RANK[ROLES[view.access[method]]]
    assert (status != 403) == admitted
    assert status not in {401, 405}
    assert status < 500 or status == 503


@pytest.mark.once
@pytest.mark.parametrize(("route", "view"), ROUTES, ids=named)
def test_a_user_who_was_disabled_gets_in_nowhere(route: str, view: type[ApiView], alice: Person) -> None:
    alice.user.is_active = False
    alice.user.save()
    for method in methods_of(view):
        if view.access[method] in ROLES:
            assert asked(alice.client, method, address(route, "alpha")).status_code == 401, method


def _impersonal(answer: Any, project: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    del found["request_id"]
    return {name: str(value).replace(project, "?") for name, value in found.items()}
