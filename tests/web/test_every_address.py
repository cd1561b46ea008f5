"""Every address of the whole URL table, pages, REST and admin console: tokens, hosts, policies, hostile queries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client, override_settings
from django.urls import URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern, RoutePattern

from mlplatform.core.models import AccessKey, Project, Role
from tests.web.conftest import Visitor, visitor
from tests.web.evaluations import evaluation_made
from tests.web.tuning import Trials, tuning_make

EXAMPLES = {
    "project": "alpha",
    "name": "knn",
    "username": "alice",
    "key_id": "MLPKGHOST",
    "uid": "0" * 26,
    "app_label": "auth",
    "object_id": "1",
    "content_type_id": "1",
    "pk": "1",
    "number": "1",
    "version": "1",
    "table": "cells",
}
HOSTILE = (
    "'\"><script>alert(1)</script>\x00",
    "\x00",
    "..%2f..%2f",
    "9" * 400,
    "-1",
    "\ud7ff\U0001f986",
)
_WORDS = """tab search order cursor status after first n tail regular next version from line sample variant limit hours
period format fragment page k x y user action outcome since until q all o p e
metric scale cell show quality latency at cost as clone preset train test
ks label prediction wrong offset dataset row values columns rows table endpoint repeat
strategy job warm axis brush pick colour"""
PARAMETERS = tuple(_WORDS.split())


def addresses(patterns: list[Any] | None = None, prefix: str = "/") -> Iterator[str]:
    """Every route that is not a regular expression as an address, with an example in every place."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        if not isinstance(one.pattern, RoutePattern | LocalePrefixPattern):
            continue
        route = prefix + re.sub(r"<(?:\w+:)?(\w+)>", _example, str(one.pattern))
        if isinstance(one, URLResolver):
            yield from addresses(one.url_patterns, route)
        else:
            yield route


def _example(place: re.Match[str]) -> str:
    return EXAMPLES.get(place[1], "1")


ADDRESSES = sorted(set(addresses()))


@pytest.fixture(scope="module")
def full_street(built_street: str, django_db_blocker: Any) -> None:
    """Beside all that is there, an evaluation and a tuning job are done; Alice is an operator too."""
    with django_db_blocker.unblock(), override_settings(OBJECT_STORE_URL=built_street):
        alice = visitor("alice", Project.objects.get(name="alpha"), Role.ADMIN)
        evaluation_made(alice, "knn")
        tuning_make(alice.actor, "knn", Trials(n=2, with_jobs=False))
        User.objects.filter(pk=alice.user.pk).update(is_staff=True, is_superuser=True)


@pytest.fixture
def operator(full_street: None, alice_at_street: Visitor) -> User:
    """Alice, to whom the admin console is open too."""
    return alice_at_street.user


def client_of(user: User, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(user)
    return client


def test_the_walk_has_all_three_faces() -> None:
    for beginning in ("/admin/", "/api/v1/projects/alpha/", "/projects/alpha/"):
        assert sum(address.startswith(beginning) for address in ADDRESSES) > 15, beginning


@pytest.mark.once
@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_changed_for_a_session_without_the_token_of_its_page(operator: User, address: str) -> None:
    client = client_of(operator, enforce_csrf_checks=True)
    keys = AccessKey.objects.count()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        status = client.generic(method, address, b"{}", content_type="application/json").status_code
        assert status in {403, 404, 405}, f"{method} {address}: {status}"
    assert AccessKey.objects.count() == keys and User.objects.filter(pk=operator.pk, is_active=True).exists()


@pytest.mark.once
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_host_that_is_not_ours_is_answered_nowhere(db: None, address: str) -> None:
    answer = Client(raise_request_exception=False).get(address, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert b"evil.example" not in answer.content


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_carries_the_policies_of_the_house_and_is_a_page_or_a_download(
    operator: User, address: str
) -> None:
    answer = client_of(operator).get(address)
    assert answer.status_code < 500
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    kind = answer.get("Content-Type", "").partition(";")[0]
    if answer.status_code == 200 and kind not in SHOWN:
        assert answer["Content-Disposition"].startswith("attachment"), f"{address}: {kind}"
    _read(answer)


SHOWN = {
    "text/html",
    "application/json",
    "application/problem+json",
    "application/vnd.oai.openapi+json",
    "application/vnd.oai.openapi",
    "text/event-stream",
    "text/javascript",
}


@pytest.mark.parametrize("address", [one for one in ADDRESSES if not one.startswith("/admin/")])
def test_no_query_breaks_a_page_or_gets_into_its_markup(operator: User, address: str) -> None:
    client = client_of(operator)
    for value in HOSTILE:
        query = "&".join(f"{name}={quote(value)}" for name in PARAMETERS)
        answer = client.get(f"{address}?{query}")
        assert answer.status_code < 500, f"{address} with {value[:20]!r}: {answer.status_code}"
        if answer.get("Content-Type", "").startswith("text/html") and not answer.streaming:
            assert "<script>alert" not in answer.content.decode()
        _read(answer)


LISTS = [one for one in ADDRESSES if re.fullmatch(r"/projects/alpha/[a-z-]+/", one)]
LISTS_AND_DETAILS = [one for one in ADDRESSES if re.fullmatch(r"/projects/alpha/[a-z-]+/(knn/)?", one)]


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of all parameters that pages look for."""
    names: set[str] = set()
    for way in ("get", "getlist", "__getitem__", "__contains__"):
        monkeypatch.setattr(QueryDict, way, _recorded(getattr(QueryDict, way), names))
    return names


def _recorded(way: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    def recorded(query: QueryDict, name: str, *arguments: Any, **named: Any) -> Any:
        names.add(name)
        return way(query, name, *arguments, **named)

    return recorded


@pytest.mark.parametrize("address", LISTS_AND_DETAILS)
def test_no_single_parameter_breaks_a_list_or_a_detail(
    operator: User, asked_for: set[str], address: str
) -> None:
    """All at once, the first that is refused hides the others. What looks for one only after another is found too."""
    client = client_of(operator)
    _read(client.get(address))
    assert asked_for or address not in LISTS, "no list is without an order"
    tried: set[str] = set()
    while waiting := asked_for - tried:
        name = min(waiting)
        tried.add(name)
        answer = client.get(f"{address}?{quote(name)}={quote(HOSTILE[0])}")
        assert answer.status_code < 500, f"{address}?{name}: {answer.status_code}"
        _read(answer)


def _read(answer: Any) -> None:
    """A download is read to its end, which closes its file; a stream of events is left."""
    if answer.streaming and not answer.is_async:
        assert sum(map(len, answer.streaming_content)) > 0
