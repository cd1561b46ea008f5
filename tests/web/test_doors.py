"""The doors for people: throttled sign-in, sessions that end, nothing kept in caches, nobody sent elsewhere."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from mlplatform.core.audit.record import Face, Origin, audit_origin
from mlplatform.core.models import AuditEvent, GivenPassword, Session
from mlplatform.core.people.access import access_key_create
from mlplatform.core.people.key_attempts import WRONG_MAX, attempts
from mlplatform.core.people.members import member_remove
from mlplatform.core.people.sessions import SEEN_AT, SEEN_STEP_S, SIGNED_IN_AT, sessions_end
from tests.api.test_routes import ROUTES
from tests.api.test_routes import address as api_address
from tests.web.conftest import Visitor
from tests.web.test_pages import PAGES
from tests.web.test_pages import address as page_address

LOGIN, PREFERENCES = "/login/", "/preferences/"
RIGHT = {"username": "alice", "password": "a long password"}
WRONG = {"username": "alice", "password": "wrong"}


def signed_in(**headers: str) -> Client:
    client = Client(headers=headers)
    assert client.post(LOGIN, RIGHT).status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return client.get(PREFERENCES).status_code == 200


# Throttling


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Too many failed attempts"), ("ja", "サインインの失敗")]
)
def test_after_too_many_failures_the_form_says_how_long_to_wait(
    alice: Visitor, language: str, words: str
) -> None:
    client = Client(headers={"Accept-Language": language})
    assert [client.post(LOGIN, WRONG).status_code for _ in range(5)] == [400] * 5
    answer = client.post(LOGIN, RIGHT)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 5
    page = answer.content.decode()
    assert words in page and 'role="alert"' in page
    assert 'value="alice"' in page and "a long password" not in page
    assert not is_signed_in(client)


def test_the_admin_consoles_own_sign_in_is_throttled_too(alice: Visitor) -> None:
    User.objects.filter(username="alice").update(is_staff=True)
    for _ in range(5):
        assert Client().post("/admin/login/", WRONG).status_code == 200
    answer = Client().post("/admin/login/", RIGHT)
    assert answer.status_code == 429 and int(answer["Retry-After"]) >= 1


def test_whoever_finds_a_browser_signed_in_may_not_guess_the_password_either(alice: Visitor) -> None:
    client = alice.client
    form = {"old_password": "wrong", "new_password1": "another long one", "new_password2": "another long one"}
    for _ in range(5):
        assert client.post("/preferences/password/", form).status_code == 400
    answer = client.post("/preferences/password/", form | {"old_password": "a long password"})
    assert answer.status_code == 429 and int(answer["Retry-After"]) >= 1
    assert User.objects.get(username="alice").check_password("a long password")


# Sessions


def test_the_key_of_the_session_is_new_after_signing_in(alice: Visitor) -> None:
    client = Client()
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = session.session_key or ""
    client.cookies["sessionid"] = planted
    client.post(LOGIN, RIGHT)
    assert client.cookies["sessionid"].value != planted
    stranger = Client()
    stranger.cookies["sessionid"] = planted
    assert not is_signed_in(stranger) and is_signed_in(client)


def test_a_session_key_that_somebody_made_up_is_never_taken(alice: Visitor) -> None:
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    client.post(LOGIN, RIGHT)
    assert client.cookies["sessionid"].value not in {"", "a" * 32}


def test_the_cookie_is_for_the_server_and_this_site_only(alice: Visitor, settings: Any) -> None:
    cookie = signed_in().cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    settings.SESSION_COOKIE_SECURE = True
    assert Client().post(LOGIN, RIGHT).cookies["sessionid"]["secure"]


def test_a_new_password_ends_all_other_sessions_and_gives_this_one_a_new_key(alice: Visitor) -> None:
    here, there = signed_in(), signed_in()
    before = here.cookies["sessionid"].value
    new = "another long one"
    form = {"old_password": "a long password", "new_password1": new, "new_password2": new}
    assert here.post("/preferences/password/", form).status_code == 302
    assert is_signed_in(here) and not is_signed_in(there)
    assert here.cookies["sessionid"].value != before
    assert Session.objects.filter(user_id=alice.user.pk).count() == 1


def test_a_password_that_an_operator_sets_ends_every_session_of_the_user(alice: Visitor) -> None:
    client = signed_in()
    user = User.objects.get(username="alice")
    user.set_password("set by somebody else")
    user.save()
    assert not is_signed_in(client) and not Session.objects.filter(user_id=user.pk).exists()


def test_signing_out_everywhere_ends_every_session_at_once(alice: Visitor, bob: Visitor) -> None:
    here, there, somebody_else = signed_in(), signed_in(), bob.client
    page = here.get(PREFERENCES).content.decode()
    assert "/logout/everywhere/" in page and page.count("this browser") == 1
    assert here.get("/logout/everywhere/").status_code == 405
    assert here.post("/logout/everywhere/")["Location"] == LOGIN
    assert not is_signed_in(here) and not is_signed_in(there) and is_signed_in(somebody_else)


def test_a_user_who_is_disabled_or_deleted_is_signed_out_for_good(alice: Visitor, bob: Visitor) -> None:
    client = signed_in()
    user = User.objects.get(username="alice")
    user.is_active = False
    user.save()
    assert not is_signed_in(client)
    user.is_active = True
    user.save()
    assert not is_signed_in(client)
    deleted = bob.client
    bob.user.delete()
    assert not is_signed_in(deleted)


def test_a_member_who_is_removed_sees_nothing_of_the_project_from_then_on(
    alice: Visitor, bob: Visitor
) -> None:
    client = bob.client
    assert client.get(bob.url("project-home")).status_code == 200
    member_remove(actor=alice.actor, username="bob")
    assert client.get(bob.url("project-home")).status_code == 404


def test_a_session_ends_some_time_after_the_sign_in_however_much_it_is_used(
    alice: Visitor, settings: Any
) -> None:
    client = signed_in()
    session = client.session
    session[SIGNED_IN_AT] = int(time.time()) - settings.MLPLATFORM_SESSION_MAX_S - 1
    session.save()
    assert not is_signed_in(client)
    assert not Session.objects.filter(pk=session.session_key).exists()


def test_a_session_that_is_not_used_ends_and_one_that_is_goes_on(alice: Visitor, settings: Any) -> None:
    client = signed_in()

    def unused_for(seconds: int) -> None:
        session = client.session
        session[SEEN_AT] = int(time.time()) - seconds
        session.save()
        row = Session.objects.get(pk=session.session_key)
        row.expire_date = row.expire_date - timedelta(seconds=seconds)
        row.save()

    unused_for(SEEN_STEP_S + 1)
    ends_at = Session.objects.get(pk=client.session.session_key).expire_date
    for fetch in ({"Sec-Fetch-Mode": "cors"}, {"HX-Request": "true"}):
        client.get(PREFERENCES, headers=fetch)
    assert Session.objects.get(pk=client.session.session_key).expire_date == ends_at
    answer = client.get(PREFERENCES, headers={"Sec-Fetch-Mode": "navigate"})
    assert answer.cookies["sessionid"]["max-age"] == settings.SESSION_COOKIE_AGE
    assert Session.objects.get(pk=client.session.session_key).expire_date > ends_at
    unused_for(settings.SESSION_COOKIE_AGE + 1)
    assert not is_signed_in(client)


def test_ended_sessions_are_removed_when_somebody_signs_in(alice: Visitor) -> None:
    signed_in()
    Session.objects.update(expire_date="2026-01-01T00:00:00Z")
    signed_in()
    assert Session.objects.count() == 1


def test_a_session_knows_whose_it_is_and_where_it_began(alice: Visitor) -> None:
    with audit_origin(Origin(Face.WEB)):
        signed_in()
    row = Session.objects.get()
    assert (row.user_id, row.address) == (alice.user.pk, "127.0.0.1")
    assert sessions_end(user=alice.user) == 1


# A password that somebody else set


def test_a_password_that_somebody_else_set_is_warned_of_until_it_is_changed(alice: Visitor) -> None:
    warning = "Somebody else set your password"
    client = signed_in()
    assert warning in client.get(alice.url("project-home")).content.decode()
    new = "another long one"
    client.post(
        "/preferences/password/",
        {"old_password": "a long password", "new_password1": new, "new_password2": new},
    )
    assert warning not in client.get(alice.url("project-home")).content.decode()
    assert not GivenPassword.objects.filter(user=alice.user).exists()
    again = Client()
    again.post(LOGIN, {"username": "alice", "password": new})
    assert warning not in again.get(alice.url("project-home")).content.decode()


# Caches, frames, other sites


@pytest.mark.once
@pytest.mark.parametrize(("name", "arguments"), PAGES)
def test_no_cache_keeps_what_a_signed_in_person_saw(
    alice: Visitor, name: str, arguments: tuple[str, ...]
) -> None:
    answer = alice.client.get(page_address(name, arguments))
    if answer.status_code != 405:
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_the_one_answer_with_a_secret_is_kept_by_no_cache(alice: Visitor) -> None:
    page = alice.post("access-key-new", {"days": "30"})
    key = alice.client.post("/api/v1/projects/alpha/access-keys/", {}, content_type="application/json")
    assert (page.status_code, key.status_code) == (200, 201)
    assert "no-store" in page["Cache-Control"] and "no-store" in key["Cache-Control"]


def test_the_admin_console_is_framed_by_nobody_and_kept_by_no_cache(alice: Visitor) -> None:
    User.objects.filter(username="alice").update(is_staff=True, is_superuser=True)
    client = alice.client
    for path in ("/admin/", "/admin/login/", "/admin/auth/user/", "/admin/core/auditevent/"):
        answer = client.get(path)
        assert answer["X-Frame-Options"] == "DENY", path
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example/",
        "\\\\evil.example",
        "/\\evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "https://testserver.evil.example/",
        "https://testserver@evil.example/",
        "\thttps://evil.example",
        "//evil.example/%2f..",
    ],
)
@pytest.mark.parametrize("path", [LOGIN, "/preferences/theme/", "/preferences/language/"])
def test_nobody_is_sent_to_another_site(alice: Visitor, target: str, path: str) -> None:
    form = RIGHT | {"theme": "dark", "language": "en", "next": target}
    answer = Client().post(path, form)
    assert (answer.status_code, answer["Location"]) == (302, reverse("web:home"))
    by_query = Client().post(f"{path}?next={target}", RIGHT | {"theme": "dark", "language": "en"})
    assert by_query["Location"] == reverse("web:home")


def test_a_forged_host_is_refused_and_a_forwarded_one_is_not_used_in_links(alice: Visitor) -> None:
    client = alice.client
    assert client.get(PREFERENCES, headers={"Host": "evil.example"}).status_code == 400
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Server": "evil.example"}
    for page in (LOGIN, alice.url("access-key-list"), alice.url("algorithm-list")):
        assert "evil.example" not in client.get(page, headers=forwarded).content.decode()
    made = client.post(alice.url("access-key-new"), {"days": "30"}, headers=forwarded).content.decode()
    assert "evil.example" not in made and "http://testserver/api/v1/" in made


# REST with a session, REST with a key


CHANGING = [
    (route, method)
    for route, view in ROUTES
    for method in ("POST", "PUT", "PATCH", "DELETE")
    if hasattr(view, method.lower())
]


@pytest.mark.once
@pytest.mark.parametrize(("route", "method"), CHANGING)
def test_rest_with_a_session_needs_the_forms_token(alice: Visitor, route: str, method: str) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice.user)
    path = api_address(route, "alpha")
    answer = client.generic(method, path, "{}", content_type="application/json")
    assert answer.status_code == 403 and "CSRF" in answer.json()["detail"]
    page = client.get(PREFERENCES).content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    headers = {"X-CSRFToken": found.group(1)}
    again = client.generic(method, path, "{}", content_type="application/json", headers=headers)
    assert "CSRF" not in again.content.decode()


def test_a_request_with_a_key_has_no_session_and_gets_no_cookie(alice: Visitor) -> None:
    key, secret = access_key_create(user=alice.user, project=alice.project)
    headers = {"Authorization": f"Bearer {key.key_id}.{secret}"}
    for path in ("/api/v1/projects/", "/api/v1/projects/alpha/members/", "/api/v1/workers/"):
        answer = Client().get(path, headers=headers)
        assert answer.status_code == 200 and not answer.cookies
    made = Client().post(
        "/api/v1/projects/alpha/datasets/", {}, content_type="application/json", headers=headers
    )
    assert made.status_code == 400 and not made.cookies
    assert not Session.objects.exists()


def test_a_key_opens_no_page(alice: Visitor) -> None:
    key, secret = access_key_create(user=alice.user, project=alice.project)
    headers = {"Authorization": f"Bearer {key.key_id}.{secret}"}
    assert Client().get(alice.url("project-home"), headers=headers).status_code == 302


def test_one_wrong_key_after_another_is_told_to_wait_and_right_ones_go_on(alice: Visitor) -> None:
    attempts.forget()
    key, secret = access_key_create(user=alice.user, project=alice.project)

    def ask(token: str, address: str = "198.51.100.7") -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return Client(REMOTE_ADDR=address).get("/api/v1/projects/", headers=headers)

    assert ask(f"{key.key_id}.{secret}").status_code == 200
    statuses = [ask(f"{key.key_id}.guess-{number}").status_code for number in range(WRONG_MAX + 3)]
    assert statuses == [401] * WRONG_MAX + [429] * 3
    answer = ask("guess.guess")
    assert answer.status_code == 429 and 1 <= int(answer["Retry-After"]) <= 60
    assert answer.json()["code"] == "ThrottlingException"
    assert ask(f"{key.key_id}.{secret}").status_code == 200
    assert ask("guess.guess", address="203.0.113.9").status_code == 401
    event = AuditEvent.objects.get(action="access_key.throttle")
    assert (event.outcome, event.address) == ("refused", "198.51.100.7")
    attempts.forget()
