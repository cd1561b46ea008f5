"""Signing in and out, and the language and theme that a person sees."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mlplatform.web.preferences import preferences_get, preferences_set
from tests.web.conftest import Visitor

LOGIN = "/login/"


def test_a_page_sends_a_stranger_to_the_sign_in_page_and_back(alice: Visitor) -> None:
    client = Client()
    target = alice.url("dataset-list")
    response = client.get(target)
    assert response.status_code == 302
    assert response["Location"] == f"{LOGIN}?next={target}"
    signed_in = client.post(LOGIN, {"username": "alice", "password": "a long password", "next": target})
    assert signed_in["Location"] == target


def test_an_htmx_request_of_a_stranger_sends_the_whole_browser_to_the_sign_in_page(alice: Visitor) -> None:
    response = Client().get(
        alice.url("dataset-list"),
        headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{alice.url('dataset-list')}"},
    )
    assert response.status_code == 204
    assert response["HX-Redirect"].startswith(LOGIN)


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(alice: Visitor) -> None:
    wrong = Client().post(LOGIN, {"username": "alice", "password": "wrong"})
    unknown = Client().post(LOGIN, {"username": "nobody", "password": "wrong"})
    User.objects.create_user("idle", password="a long password", is_active=False)
    inactive = Client().post(LOGIN, {"username": "idle", "password": "a long password"})
    messages = [list(response.context["form"].non_field_errors()) for response in (wrong, unknown, inactive)]
    assert {response.status_code for response in (wrong, unknown, inactive)} == {400}
    assert messages[0] == messages[1] == messages[2] != []


def test_signing_in_never_leads_to_another_site(alice: Visitor) -> None:
    for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "admin:index", "9"):
        response = Client().post(LOGIN, {"username": "alice", "password": "a long password", "next": target})
        assert response["Location"] == reverse("web:home")


def test_signing_out_ends_the_session_and_needs_a_post(alice: Visitor) -> None:
    client = alice.client
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get(alice.url("dataset-list")).status_code == 302


def test_a_form_without_its_token_is_refused_with_a_readable_page(alice: Visitor) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user)
    response = client.post(alice.url("access-key-new"), {"days": "30"})
    assert response.status_code == 403
    assert b"security token" in response.content


def test_home_leads_to_the_project_of_the_last_visit(alice: Visitor, charlie: Visitor) -> None:
    from tests.web.conftest import visitor

    both = visitor("alice", charlie.project, alice.role)
    client = alice.client
    client.get(both.url("project-home"))
    assert client.get("/")["Location"] == both.url("project-home")
    client.get(alice.url("project-home"))
    assert client.get("/")["Location"] == alice.url("project-home")


def test_a_person_in_no_project_is_told_what_to_do(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("dora"))
    response = client.get("/")
    assert response.status_code == 200
    assert b"Ask an administrator" in response.content


def test_only_staff_may_create_a_project(alice: Visitor) -> None:
    assert alice.client.post("/projects/new/", {"name": "beta"}).status_code == 403
    User.objects.filter(username="alice").update(is_staff=True)
    assert alice.client.post("/projects/new/", {"name": "../beta"}).status_code == 400
    assert alice.client.post("/projects/new/", {"name": "beta"})["Location"] == "/projects/beta/"
    assert alice.client.post("/projects/new/", {"name": "BETA"}).status_code == 400


def test_the_language_is_the_users_setting_then_the_cookie_then_what_the_browser_asks_for(
    alice: Visitor,
) -> None:
    client = Client()
    assert b'lang="ja"' in client.get(LOGIN, headers={"Accept-Language": "ja"}).content
    client.post("/preferences/language/", {"language": "en"})
    assert b'<html lang="en"' in client.get(LOGIN, headers={"Accept-Language": "ja"}).content
    preferences_set(user=alice.user, language="ja")
    client.post(LOGIN, {"username": "alice", "password": "a long password"})
    assert (
        b'<html lang="ja"' in client.get(alice.url("project-home"), headers={"Accept-Language": "en"}).content
    )


def test_the_theme_switch_is_kept_for_the_user(alice: Visitor) -> None:
    client = alice.client
    client.post("/preferences/theme/", {"theme": "dark"})
    assert preferences_get(user=alice.user).theme == "dark"
    assert b'data-theme="dark"' in client.get(alice.url("project-home")).content
    client.post("/preferences/theme/", {"theme": "system"})
    assert b"data-theme" not in client.get(alice.url("project-home")).content


def test_preferences_name_the_field_that_is_wrong_and_keep_nothing(alice: Visitor) -> None:
    response = alice.client.post(
        "/preferences/", {"language": "fr", "theme": "dark", "time_zone": "Mars/Olympus"}
    )
    assert response.status_code == 400
    page = response.content.decode()
    assert re.search(r'<input[^>]* value="Mars/Olympus"[^>]* aria-invalid="true"', page)
    assert 'id="time_zone_error"' in page and 'id="language_error"' in page
    assert '<option value="dark" selected>' in page
    assert preferences_get(user=alice.user).theme == "system"


def test_after_a_wrong_password_the_password_has_the_focus(db: None) -> None:
    assert re.search(r'name="username"[^>]* autofocus', Client().get(LOGIN).content.decode())
    page = Client().post(LOGIN, {"username": "alice", "password": "wrong"}).content.decode()
    assert re.search(r'name="password"[^>]* autofocus', page)
    assert not re.search(r'name="username"[^>]* autofocus', page)


def test_preferences_are_kept_and_written_to_the_browser(alice: Visitor) -> None:
    client = alice.client
    client.post("/preferences/", {"language": "ja", "theme": "light", "time_zone": "Asia/Tokyo"})
    page = client.get(alice.url("project-home")).content
    assert b'<html lang="ja" data-theme="light" data-time-zone="Asia/Tokyo"' in page


def test_a_forged_theme_or_time_zone_cookie_is_ignored(alice: Visitor) -> None:
    client = alice.client
    client.cookies["theme"] = '"><script>'
    client.cookies["time_zone"] = "nowhere"
    page = client.get(alice.url("project-home")).content
    assert b"data-theme" not in page and b"data-time-zone" not in page


def test_a_password_is_changed_with_the_old_one_and_this_browser_stays_signed_in(alice: Visitor) -> None:
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.post(LOGIN, {"username": "alice", "password": "a long password"})
    new = "another long one"
    form = {"old_password": "a long password", "new_password1": new, "new_password2": new}
    assert here.post("/preferences/password/", form)["Location"] == "/preferences/"
    assert here.get(alice.url("project-home")).status_code == 200
    assert elsewhere.get(alice.url("project-home")).status_code == 302
    assert Client().post(LOGIN, {"username": "alice", "password": new}).status_code == 302


@pytest.mark.parametrize(
    ("old", "first", "second", "field"),
    [
        ("wrong", "another long one", "another long one", "old_password"),
        ("a long password", "another long one", "yet another one", "new_password2"),
        ("a long password", "short", "short", "new_password2"),
        ("a long password", "password1234", "password1234", "new_password2"),
    ],
)
def test_a_password_that_cannot_be_set_is_refused_at_its_field(
    alice: Visitor, old: str, first: str, second: str, field: str
) -> None:
    client = alice.client
    form = {"old_password": old, "new_password1": first, "new_password2": second}
    response = client.post("/preferences/password/", form)
    assert response.status_code == 400
    assert field in response.context["form"].errors
    assert Client().post(LOGIN, {"username": "alice", "password": "a long password"}).status_code == 302
