"""Projects, members and access keys by REST."""

from __future__ import annotations

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from mlplatform.core.models import AccessKey, Membership
from tests.api.conftest import BASE, Person


def test_a_key_lists_its_own_project_only(alice: Person) -> None:
    Membership.objects.create(user=alice.user, project=_other_project(), role="viewer")
    answer = alice.client.get(f"{BASE}/projects/").json()
    assert [(item["name"], item["role"]) for item in answer["items"]] == [("alpha", "admin")]


def test_a_session_lists_all_projects_of_the_user(alice: Person) -> None:
    Membership.objects.create(user=alice.user, project=_other_project(), role="viewer")
    client = APIClient()
    client.force_login(alice.user)
    assert [item["name"] for item in client.get(f"{BASE}/projects/").json()["items"]] == ["alpha", "zeta"]


def test_a_key_does_not_open_another_project_of_its_user(alice: Person) -> None:
    Membership.objects.create(user=alice.user, project=_other_project(), role="admin")
    assert alice.client.get(f"{BASE}/projects/zeta/").status_code == 404


def test_a_foreign_project_answers_exactly_as_one_that_never_was(alice: Person, charlie: Person) -> None:
    foreign = alice.client.get(f"{BASE}/projects/gamma/members/").json()
    unknown = alice.client.get(f"{BASE}/projects/ghost/members/").json()
    for answer in (foreign, unknown):
        del answer["request_id"]
        answer["detail"] = answer["detail"].replace("gamma", "?").replace("ghost", "?")
    assert foreign == unknown
    assert foreign["status"] == 404


def test_a_new_key_works_and_its_secret_is_never_shown_again(bob: Person) -> None:
    created = bob.post("access-keys/", {"description": "notebook"})
    assert created.status_code == 201
    made = created.json()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made['token']}")
    listing = client.get(bob.url("access-keys/"))
    assert listing.status_code == 200
    assert made["secret"] not in listing.content.decode()
    assert made["key_id"] in {item["key_id"] for item in listing.json()["items"]}


def test_a_repeated_idempotent_creation_makes_one_key_and_hides_the_secret(bob: Person) -> None:
    first = bob.post("access-keys/", {}, **{"Idempotency-Key": "k-1"})
    again = bob.post("access-keys/", {}, **{"Idempotency-Key": "k-1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["key_id"] == first.json()["key_id"]
    assert first.json()["secret"]
    assert again.json()["secret"] is None
    assert AccessKey.objects.filter(user=bob.user).count() == 2


def test_a_revoked_key_opens_nothing(bob: Person) -> None:
    key_id = bob.token.partition(".")[0]
    assert bob.delete(f"access-keys/{key_id}/").json()["status"] == "Revoked"
    refused = bob.get("members/")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_ends_when_its_lifetime_does(bob: Person) -> None:
    made = bob.post("access-keys/", {"lifetime_s": 60}).json()
    AccessKey.objects.filter(key_id=made["key_id"]).update(expires_at="2020-01-01T00:00:00Z")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made['token']}")
    assert client.get(bob.url("members/")).status_code == 401


def test_a_viewer_neither_sees_nor_revokes_keys_of_others(alice: Person, bob: Person) -> None:
    foreign = alice.token.partition(".")[0]
    assert foreign not in bob.get("access-keys/").content.decode()
    assert bob.delete(f"access-keys/{foreign}/").status_code == 404
    assert alice.get("members/").status_code == 200


def test_an_administrator_revokes_a_members_key(alice: Person, bob: Person) -> None:
    assert alice.delete(f"access-keys/{bob.token.partition('.')[0]}/").status_code == 200
    assert bob.get("members/").status_code == 401


def test_an_administrator_adds_changes_and_removes_a_member(alice: Person) -> None:
    User.objects.create_user("dana")
    assert (
        alice.client.put(alice.url("members/dana/"), {"role": "viewer"}, format="json").json()["role"]
        == "viewer"
    )
    assert (
        alice.client.put(alice.url("members/dana/"), {"role": "editor"}, format="json").json()["role"]
        == "editor"
    )
    assert alice.delete("members/dana/").status_code == 204
    assert [item["username"] for item in alice.get("members/").json()["items"]] == ["alice"]


def test_a_removed_members_key_stops_at_once(alice: Person, bob: Person) -> None:
    assert alice.delete("members/bob/").status_code == 204
    assert bob.get("members/").status_code == 401


def test_the_last_administrator_stays(alice: Person) -> None:
    refused = alice.delete("members/alice/")
    assert (refused.status_code, refused.json()["code"]) == (409, "ResourceInUse")
    assert alice.get("members/").json()["count"] == 1


def test_an_unknown_role_is_refused_with_those_there_are(alice: Person) -> None:
    User.objects.create_user("dana")
    refused = alice.client.put(alice.url("members/dana/"), {"role": "king"}, format="json")
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["role"]


def _other_project() -> object:
    from mlplatform.core.people.access import project_create

    return project_create(user=User.objects.create_user("zoe"), name="zeta")
