"""Who may do what: deny by default, keys end at once, a project keeps an administrator."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotAuthenticated, NotFound
from mlplatform.core.models import AccessKey, Membership, Project, Role
from mlplatform.core.people.access import (
    Actor,
    access_key_create,
    access_key_list,
    access_key_revoke,
    access_key_secret,
    actor_for_key,
    actor_for_user,
    project_create,
    project_list,
)
from mlplatform.core.people.members import member_list, member_remove, member_set
from mlplatform.core.revisions import revision_value

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Actor:
    user = User.objects.create_user("alice")
    project = project_create(user=user, name="alpha")
    return actor_for_user(user=user, project_name=project.name)


@pytest.fixture
def bob(alice: Actor) -> Actor:
    user = User.objects.create_user("bob")
    Membership.objects.create(user=user, project=alice.project, role=Role.VIEWER)
    return actor_for_user(user=user, project_name="alpha")


def _key(actor: Actor, **changes: object) -> tuple[AccessKey, str]:
    key, secret = access_key_create(user=actor.user, project=actor.project, **changes)  # type: ignore[arg-type]
    return key, f"{key.key_id}.{secret}"


def test_each_role_includes_the_ones_below() -> None:
    ranks = [Role.VIEWER, Role.EDITOR, Role.ADMIN]
    for have, role in enumerate(ranks):
        actor = Actor(user=User(), project=Project(name="alpha"), role=role)
        for need, required in enumerate(ranks):
            assert actor.may(required) == (have >= need)
            if have < need:
                with pytest.raises(AccessDenied, match=f"needs the role {required.value}"):
                    actor.require(required)


def test_a_foreign_project_and_one_that_never_was_look_alike(alice: Actor) -> None:
    charlie = User.objects.create_user("charlie")
    for name in ("alpha", "nothing"):
        with pytest.raises(NotFound, match=f"no project '{name}'"):
            actor_for_user(user=charlie, project_name=name)


def test_a_user_who_was_switched_off_has_no_project(alice: Actor) -> None:
    alice.user.is_active = False
    with pytest.raises(NotFound):
        actor_for_user(user=alice.user, project_name="alpha")


def test_a_key_stands_for_its_user_in_its_project(alice: Actor, bob: Actor) -> None:
    key, token = _key(bob)
    actor = actor_for_key(token=token)
    assert (actor.user, actor.project, actor.role, actor.key) == (bob.user, alice.project, Role.VIEWER, key)


def test_the_role_of_a_key_follows_the_membership(alice: Actor, bob: Actor) -> None:
    _, token = _key(bob)
    member_set(actor=alice, username="bob", role="editor")
    assert actor_for_key(token=token).role == Role.EDITOR
    member_remove(actor=alice, username="bob")
    with pytest.raises(NotAuthenticated):
        actor_for_key(token=token)


@pytest.mark.parametrize("change", ["set", "remove"])
def test_administrators_are_changed_one_after_the_other(alice: Actor, bob: Actor, change: str) -> None:
    """The project is locked before anything is changed: two who remove each other cannot both go by the other."""
    member_set(actor=alice, username="bob", role="admin")
    with CaptureQueriesContext(connection) as queries:
        if change == "set":
            member_set(actor=alice, username="bob", role="viewer")
        else:
            member_remove(actor=alice, username="bob")
    statements = [query["sql"] for query in queries]
    begun = next(n for n, sql in enumerate(statements) if sql.startswith("SAVEPOINT"))
    assert 'FROM "core_project"' in statements[begun + 1]


def test_every_wrong_token_gets_the_same_answer(alice: Actor) -> None:
    key, token = _key(alice)
    expired = _key(alice, expires_at=clock.now() - timedelta(seconds=1))[1]
    answers = set()
    for wrong in (
        "",
        ".",
        "x",
        key.key_id,
        f"{key.key_id}.",
        f"{key.key_id}.wrong",
        token + "x",
        expired,
        "é.ü",
    ):
        with pytest.raises(NotAuthenticated) as refused:
            actor_for_key(token=wrong)
        answers.add(refused.value.message)
    assert len(answers) == 1


def test_a_secret_is_stored_only_hashed_and_encrypted(alice: Actor) -> None:
    key, token = _key(alice)
    secret = token.partition(".")[2]
    stored = AccessKey.objects.values().get(pk=key.pk)
    assert secret not in str(stored)
    assert secret.encode() not in bytes(stored["secret_encrypted"])
    assert access_key_secret(key) == secret


def test_a_revoked_key_ends_at_once_and_the_gateway_is_told(alice: Actor) -> None:
    key, token = _key(alice)
    before = revision_value()
    access_key_revoke(actor=alice, key_id=key.key_id)
    assert revision_value() > before
    with pytest.raises(NotAuthenticated):
        actor_for_key(token=token)


def test_a_viewer_sees_and_ends_only_keys_of_their_own(alice: Actor, bob: Actor) -> None:
    hers, _ = _key(alice)
    his, _ = _key(bob)
    assert access_key_list(actor=bob) == [his]
    assert len(access_key_list(actor=alice)) == 2
    with pytest.raises(NotFound):
        access_key_revoke(actor=bob, key_id=hers.key_id)
    access_key_revoke(actor=alice, key_id=his.key_id)


def test_who_is_no_member_gets_no_key(alice: Actor) -> None:
    charlie = User.objects.create_user("charlie")
    with pytest.raises(AccessDenied):
        access_key_create(user=charlie, project=alice.project)


def test_only_an_administrator_changes_members(alice: Actor, bob: Actor) -> None:
    User.objects.create_user("dora")
    with pytest.raises(AccessDenied):
        member_set(actor=bob, username="bob", role="admin")
    with pytest.raises(AccessDenied):
        member_remove(actor=bob, username="alice")
    member_set(actor=alice, username="dora", role="editor")
    assert [(member.user.username, member.role) for member in member_list(actor=bob)] == [
        ("alice", "admin"),
        ("bob", "viewer"),
        ("dora", "editor"),
    ]
    for wrong in ({"username": "nobody", "role": "viewer"}, {"username": "bob", "role": "god"}):
        with pytest.raises(InvalidRequest):
            member_set(actor=alice, **wrong)


def test_a_project_keeps_an_administrator(alice: Actor, bob: Actor) -> None:
    with pytest.raises(Conflict):
        member_remove(actor=alice, username="alice")
    with pytest.raises(Conflict):
        member_set(actor=alice, username="alice", role="viewer")
    assert Membership.objects.get(user=alice.user).role == Role.ADMIN


def test_projects_have_distinct_names_and_account_ids(alice: Actor) -> None:
    with pytest.raises(Conflict):
        project_create(user=alice.user, name="ALPHA")
    with pytest.raises(InvalidRequest):
        project_create(user=alice.user, name="../x")
    other = project_create(user=alice.user, name="beta")
    assert other.account_id != alice.project.account_id
    assert len(other.account_id) == 12
    assert [membership.project.name for membership in project_list(user=alice.user)] == ["alpha", "beta"]


def test_a_key_made_on_the_command_line_works(alice: Actor) -> None:
    output = io.StringIO()
    call_command("access_key", "create", "--user", "alice", "--project", "alpha", "--json", stdout=output)
    said = json.loads(output.getvalue())
    assert said["token"] == f"{said['key_id']}.{said['secret']}"
    assert actor_for_key(token=said["token"]).user == alice.user
    listed = io.StringIO()
    call_command("access_key", "list", "--project", "alpha", "--json", stdout=listed)
    (row,) = json.loads(listed.getvalue())
    assert row["key_id"] == said["key_id"]
    assert said["secret"] not in listed.getvalue()
    call_command("access_key", "revoke", said["key_id"], "--project", "alpha", stdout=io.StringIO())
    with pytest.raises(NotAuthenticated):
        actor_for_key(token=said["token"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--user", "alice", "--project", "nothing"], "no project 'nothing'"),
        (["create", "--user", "nobody", "--project", "alpha"], "no user 'nobody'"),
        (["revoke", "MLPKX", "--project", "alpha"], "no access key 'MLPKX'"),
    ],
)
def test_the_command_line_says_what_is_wrong(alice: Actor, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("access_key", *arguments)


def test_the_gateway_hears_of_a_user_who_is_deactivated_or_deleted(alice: Actor) -> None:
    access_key_create(user=alice.user, project=alice.project)
    before = revision_value()
    alice.user.save(update_fields=["last_login"])
    assert revision_value() == before, "a login changes nobody's rights"
    alice.user.is_active = False
    alice.user.save()
    deactivated = revision_value()
    assert deactivated > before
    alice.user.delete()
    assert revision_value() > deactivated
