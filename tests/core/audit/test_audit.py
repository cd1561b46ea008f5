"""The audit log's way in: who, from where, in the act's own transaction; users and the console are in it too."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import transaction
from django.test import Client, RequestFactory

from mlplatform.core.admin import AuditedAdmin
from mlplatform.core.audit.middleware import client_address
from mlplatform.core.audit.record import (
    REFUSALS_MAX,
    Face,
    Origin,
    audit_origin,
    audit_record,
    audit_refuse,
    origin_now,
)
from mlplatform.core.models import AuditEvent, GivenPassword, Membership, Role, SignInThrottle
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.people.sessions import session_list
from tests.audited import audit_log_broken, events_after, newest_event_id

RIGHT = "a long password"


@pytest.fixture
def alice(db: None) -> Actor:
    user = User.objects.create_user("alice", password=RIGHT)
    return Actor(user=user, project=project_create(user=user, name="alpha"), role=Role.ADMIN)


@pytest.fixture
def console(alice: Actor) -> Client:
    """Olivia, an operator, in the admin console."""
    client = Client()
    client.force_login(User.objects.create_superuser("olivia", password=RIGHT))
    return client


def acts(known: int) -> list[tuple[str, str, str]]:
    return [(event.action, event.target, event.username) for event in events_after(known)]


def test_an_event_is_gone_with_the_act_that_was_rolled_back(alice: Actor) -> None:
    known = newest_event_id()
    with pytest.raises(RuntimeError), transaction.atomic():
        audit_record(actor=alice, action="model.create", target="m")
        raise RuntimeError
    assert events_after(known) == []


def test_an_act_comes_from_where_its_request_came_from_and_else_from_the_command_line(alice: Actor) -> None:
    known = newest_event_id()
    with audit_origin(Origin(Face.API, "203.0.113.9", "r-1", lambda: alice.user)):
        audit_record(action="model.create")
        with audit_origin(Origin(Face.WEB)):
            audit_record(action="model.create")
    audit_record(action="model.create")
    found = [(one.face, one.address, one.request_id, one.username) for one in events_after(known)]
    assert found == [
        ("api", "203.0.113.9", "r-1", "alice"),
        ("web", None, "", ""),
        ("command", None, "", "operator"),
    ]
    assert origin_now().face is Face.COMMAND


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("", None),
        ("unknown", None),
        ("1.2.3.4, 5.6.7.8", None),
    ],
)
def test_the_address_is_one_or_none(peer: str, address: str | None) -> None:
    headers = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    assert client_address(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)) == address


def test_one_refusal_is_written_once_a_minute_however_often_it_is_tried(alice: Actor) -> None:
    known = newest_event_id()
    for _ in range(100):
        audit_refuse(actor=alice, action="model.delete", target="m")
    audit_refuse(actor=alice, action="model.delete", target="n")
    assert [event.target for event in events_after(known)] == ["m", "n"]


def test_who_tries_one_name_after_another_does_not_fill_the_log(alice: Actor) -> None:
    known = newest_event_id()
    for number in range(REFUSALS_MAX + 50):
        audit_refuse(actor=alice, action="model.delete", target=f"m-{number}")
    audit_refuse(actor=alice, action="endpoint.delete", target="e")
    assert acts(known) == [
        *[("model.delete", f"m-{number}", "alice") for number in range(REFUSALS_MAX)],
        ("model.delete", "", "alice"),
        ("endpoint.delete", "", "alice"),
    ]


def test_what_no_database_takes_is_left_out(alice: Actor) -> None:
    audit_record(actor=alice, action="model.create", target="a\0b" + "c" * 300)
    assert AuditEvent.objects.latest("pk").target == "ab" + "c" * 198


def test_commands_are_audited_as_the_operators(alice: Actor) -> None:
    known, said = newest_event_id(), StringIO()
    call_command("access_key", "create", "--user", "alice", "--project", "alpha", "--json", stdout=said)
    made = json.loads(said.getvalue())
    call_command("access_key", "revoke", made["key_id"], "--project", "alpha", stdout=StringIO())
    assert acts(known) == [
        ("access_key.create", made["key_id"], "operator"),
        ("access_key.revoke", made["key_id"], "operator"),
    ]
    assert {(one.face, one.user_id) for one in events_after(known)} == {("command", None)}
    assert made["secret"] not in str(list(AuditEvent.objects.values()))


def test_users_who_are_made_by_a_command_are_audited_and_have_a_given_password(db: None) -> None:
    User.objects.create_superuser("admin", password=RIGHT)
    event = AuditEvent.objects.get(action="user.create")
    assert (event.target, event.username) == ("admin", "operator")
    assert event.detail == {"is_staff": True, "is_superuser": True}
    assert GivenPassword.objects.filter(user__username="admin").exists()


# The admin console


def form_of(user: User, **changes: Any) -> dict[str, Any]:
    shown = {"username": user.username, "email": user.email, "first_name": "", "last_name": ""}
    flags = {name: "on" for name in ("is_active", "is_staff", "is_superuser") if getattr(user, name)}
    times = {"last_login_0": "", "last_login_1": "", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    return {
        name: value for name, value in {**shown, **flags, **times, **changes}.items() if value is not None
    }


def test_who_is_made_superuser_disabled_or_renamed_in_the_console_and_by_whom(
    alice: Actor, console: Client
) -> None:
    address, known = f"/admin/auth/user/{alice.user.pk}/change/", newest_event_id()
    group = Group.objects.create(name="operators")
    changes = {"is_superuser": "on", "is_active": None, "email": "a@example.org", "groups": [group.pk]}
    assert console.post(address, form_of(alice.user, **changes)).status_code == 302
    assert acts(known) == [
        ("user.grant_superuser", "alice", "olivia"),
        ("user.disable", "alice", "olivia"),
        ("user.update", "alice", "olivia"),
        ("user.set_rights", "alice", "olivia"),
    ]
    assert {event.face for event in events_after(known)} == {"admin"}
    assert events_after(known)[2].detail == {"email": ["", "a@example.org"]}
    assert events_after(known)[3].detail == {"groups": ["operators"]}
    known = newest_event_id()
    console.post(address, form_of(alice.user, email="a@example.org", groups=[group.pk]))
    assert [action for action, _, _ in acts(known)] == ["user.revoke_superuser", "user.enable"]


def test_users_made_and_deleted_in_the_console_one_or_many_are_audited(console: Client) -> None:
    known = newest_event_id()
    form = {"username": "dora", "usable_password": "true", "password1": RIGHT, "password2": RIGHT}
    assert console.post("/admin/auth/user/add/", form).status_code == 302
    assert acts(known) == [("user.create", "dora", "olivia")]
    made = [User.objects.create_user(f"temp-{number}") for number in range(3)]
    known = newest_event_id()
    chosen = {"action": "delete_selected", "_selected_action": [user.pk for user in made], "post": "yes"}
    console.post("/admin/auth/user/", chosen)
    assert sorted(acts(known)) == [("user.delete", f"temp-{number}", "olivia") for number in range(3)]


def test_a_password_set_in_the_console_is_audited_without_it_and_is_known_to_be_given(
    alice: Actor, console: Client
) -> None:
    GivenPassword.objects.all().delete()
    known = newest_event_id()
    form = {"usable_password": "true", "password1": "set by olivia 1", "password2": "set by olivia 1"}
    assert console.post(f"/admin/auth/user/{alice.user.pk}/password/", form).status_code == 302
    assert ("password.change", "alice", "olivia") in acts(known)
    assert "set by olivia" not in str(list(AuditEvent.objects.values()))
    assert GivenPassword.objects.filter(user=alice.user).exists()


def test_a_password_taken_away_in_the_console_is_audited_and_ends_the_sessions(
    alice: Actor, console: Client
) -> None:
    browser = Client()
    browser.force_login(alice.user)
    assert session_list(user=alice.user)
    known = newest_event_id()
    address = f"/admin/auth/user/{alice.user.pk}/password/"
    assert console.post(address, {"usable_password": "false", "unset-password": "1"}).status_code == 302
    assert ("password.remove", "alice", "olivia") in acts(known)
    assert session_list(user=alice.user) == []
    known = newest_event_id()
    user = User.objects.get(pk=alice.user.pk)
    user.first_name = "A"
    user.save()
    assert [action for action, _, _ in acts(known)] == ["user.update"]


def test_members_whom_an_operator_adds_are_in_the_projects_own_log(alice: Actor, console: Client) -> None:
    dora, known = User.objects.create_user("dora"), newest_event_id()
    mine = Membership.objects.get(user=alice.user)
    form = {
        "display_name": "Alpha",
        "memberships-TOTAL_FORMS": "2",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": mine.pk,
        "memberships-0-project": alice.project.pk,
        "memberships-0-user": alice.user.pk,
        "memberships-0-role": "admin",
        "memberships-1-project": alice.project.pk,
        "memberships-1-user": dora.pk,
        "memberships-1-role": "editor",
    }
    address = f"/admin/core/project/{alice.project.pk}/change/"
    assert console.post(address, form).status_code == 302
    (event,) = events_after(known)
    assert (event.action, event.username, event.project_id) == ("project.update", "olivia", alice.project.pk)
    assert "dora (editor) in alpha" in json.dumps(event.detail)


def test_nothing_is_changed_in_the_console_that_could_not_be_audited(alice: Actor, console: Client) -> None:
    group, chosen = Group.objects.create(name="operators"), {"action": "delete_selected", "post": "yes"}
    console.raise_request_exception = False
    with audit_log_broken():
        deleted = console.post("/admin/auth/group/", chosen | {"_selected_action": [group.pk]})
        made = console.post("/admin/auth/group/add/", {"name": "another"})
        promoted = console.post(
            f"/admin/auth/user/{alice.user.pk}/change/", form_of(alice.user, is_superuser="on")
        )
    assert {answer.status_code for answer in (deleted, made, promoted)} == {500}
    assert list(Group.objects.values_list("name", flat=True)) == ["operators"]
    assert not User.objects.get(username="alice").is_superuser


def test_every_table_that_the_console_can_change_by_itself_is_audited(console: Client) -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="olivia")
    for model, table in admin.site._registry.items():
        rights = (table.has_add_permission, table.has_change_permission, table.has_delete_permission)
        if any(may(request) for may in rights):
            assert isinstance(table, AuditedAdmin), model


def test_the_log_in_the_console_is_everybodys_and_read_only(alice: Actor, console: Client) -> None:
    audit_record(actor=alice, action="model.create", target="seen-by-operators")
    event = AuditEvent.objects.latest("pk")
    assert b"seen-by-operators" in console.get("/admin/core/auditevent/").content
    assert console.get(f"/admin/core/auditevent/{event.pk}/change/").status_code == 200
    assert console.post(f"/admin/core/auditevent/{event.pk}/change/", {"target": "x"}).status_code == 403
    assert console.post(f"/admin/core/auditevent/{event.pk}/delete/", {"post": "yes"}).status_code == 403
    console.post("/admin/core/auditevent/", {"action": "delete_selected", "_selected_action": [event.pk]})
    assert AuditEvent.objects.get(pk=event.pk).target == "seen-by-operators"


def test_an_operator_unlocks_a_sign_in_in_the_console(alice: Actor, console: Client) -> None:
    stranger = Client()
    for _ in range(6):
        stranger.post("/login/", {"username": "alice", "password": "wrong"})
    rows = list(SignInThrottle.objects.values_list("pk", flat=True))
    assert b"alice" in console.get("/admin/core/signinthrottle/").content
    console.post("/admin/core/signinthrottle/", {"action": "unlock", "_selected_action": rows})
    assert stranger.post("/login/", {"username": "alice", "password": RIGHT}).status_code == 302
    assert AuditEvent.objects.filter(action="session.unlock", username="olivia").exists()
