"""Access keys, members and workers in the browser."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User

from mlplatform.core import clock
from mlplatform.core.models import AccessKey, Membership, NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import actor_for_key
from mlplatform.core.process_identity import process_identity
from tests.web.conftest import Visitor


def test_the_secret_of_a_new_key_is_shown_once_and_works(bob: Visitor) -> None:
    response = bob.post("access-key-new", {"description": "nightly", "days": "90"})
    token = response.context["token"]
    page = response.content.decode()
    assert token in page
    assert "no-store" in response["Cache-Control"]
    assert actor_for_key(token=token).user == bob.user
    listed = bob.get("access-key-list").content.decode()
    assert token.partition(".")[0] in listed
    assert token.partition(".")[2] not in listed


def test_a_key_ends_after_the_days_that_were_chosen_or_never(bob: Visitor) -> None:
    bob.post("access-key-new", {"days": "30"})
    bob.post("access-key-new", {"days": "0"})
    bob.post("access-key-new", {"days": "77"})
    first, second = AccessKey.objects.order_by("pk")
    assert abs(first.expires_at - clock.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert second.expires_at is None


def test_a_viewer_sees_and_revokes_only_their_own_keys(alice: Visitor, bob: Visitor) -> None:
    alice.post("access-key-new", {"description": "of alice", "days": "30"})
    bob.post("access-key-new", {"description": "of bob", "days": "30"})
    keys = {key.user.username: key.key_id for key in AccessKey.objects.all()}
    assert [row.key.description for row in bob.get("access-key-list").context["keys"].items] == ["of bob"]
    assert bob.post("access-key-revoke", key_id=keys["alice"]).status_code == 404
    assert bob.get("access-key-revoke", key_id=keys["alice"]).status_code == 404
    assert len(alice.get("access-key-list").context["keys"].items) == 2
    assert alice.post("access-key-revoke", key_id=keys["bob"]).status_code == 302
    assert bob.get("access-key-list").context["keys"].items[0].status == "Revoked"


def test_revoking_asks_first(bob: Visitor) -> None:
    bob.post("access-key-new", {"days": "30"})
    key = AccessKey.objects.get()
    asked = bob.get("access-key-revoke", htmx=True, key_id=key.key_id)
    assert b"cannot be undone" in asked.content and b"<html" not in asked.content
    assert AccessKey.objects.get().revoked_at is None


def test_keys_can_be_searched_and_a_missing_date_sorts(bob: Visitor) -> None:
    for text in ("nightly", "laptop"):
        bob.post("access-key-new", {"description": text, "days": "0"})
    found = bob.get("access-key-list", {"search": "ＬＡＰ"}).context["keys"]
    assert [row.key.description for row in found.items] == ["laptop"]
    for order in ("used", "-used", "expires", "-expires", "user", "nonsense"):
        assert bob.get("access-key-list", {"order": order}).status_code == 200


def test_an_administrator_adds_changes_and_removes_members(alice: Visitor) -> None:
    User.objects.create_user("dora")
    alice.post("member-list", {"username": "dora", "role": "viewer"})
    assert Membership.objects.get(user__username="dora").role == "viewer"
    alice.post("member-list", {"username": "dora", "role": "editor"})
    assert Membership.objects.get(user__username="dora").role == "editor"
    alice.post("member-remove", username="dora")
    assert not Membership.objects.filter(user__username="dora").exists()


def test_an_unknown_user_and_role_are_refused_at_their_fields(alice: Visitor) -> None:
    response = alice.post("member-list", {"username": "nobody", "role": "editor"})
    assert response.status_code == 400
    assert "username" in response.context["errors"]
    User.objects.create_user("dora")
    assert "role" in alice.post("member-list", {"username": "dora", "role": "owner"}).context["errors"]


def test_members_who_do_not_administer_see_the_list_and_change_nothing(erin: Visitor, bob: Visitor) -> None:
    for person in (erin, bob):
        page = person.get("member-list").content.decode()
        assert "alice" in page
        assert "Add a member" not in page
        assert person.post("member-list", {"username": "bob", "role": "admin"}).status_code == 403
        assert person.post("member-remove", username="bob").status_code == 403
    assert Membership.objects.get(user=bob.user).role == "viewer"


def test_the_last_administrator_cannot_be_removed(alice: Visitor) -> None:
    response = alice.post("member-remove", username="alice")
    assert response.status_code == 409
    assert b"at least one administrator" in response.content
    assert Membership.objects.filter(user=alice.user).exists()


def test_workers_shows_who_is_alive_and_who_is_silent(alice: Visitor) -> None:
    now = clock.now()
    node_beat(kind=NodeKind.WORKER, name="w1", started_at=now, queues=["cpu"], concurrency=2)
    silent = node_beat(kind=NodeKind.HOST, name="h1", started_at=now)
    ended = node_beat(kind=NodeKind.HOST, name="h2", started_at=now)
    machine, pid, start = process_identity().split(".")
    ended.info["process"] = f"{machine}.{pid}.{int(start) + 1}"  # our number, given to it before us
    ended.save()
    type(silent).objects.filter(pk__in=[silent.pk, ended.pk]).update(seen_at=now - timedelta(minutes=5))
    response = alice.get("worker-list")
    assert {row.node.name: row.status for row in response.context["nodes"].items} == {
        "w1": "Alive",
        "h1": "Silent",
        "h2": "Ended",
    }
    queues = {queue.name: queue for queue in response.context["queues"]}
    assert (queues["cpu"].n_workers, queues["cpu"].n_slots, queues["gpu"].served) == (1, 2, False)
    page = response.content.decode()
    assert "Nobody serves it" in page and "manage.py worker --queues gpu" in page
    assert "No host serves it" in page and "manage.py host --queues cpu" in page


def test_workers_shows_a_clock_that_is_off_and_another_version(alice: Visitor) -> None:
    node = node_beat(kind=NodeKind.HOST, name="h1", started_at=clock.now(), queues=["cpu"])
    page = alice.get("worker-list").content.decode()
    assert "Clock off by" not in page and "Another version" not in page
    node.info["database_ahead_s"] = -7.5
    node.version = "9.9"
    node.save()
    page = alice.get("worker-list").content.decode()
    assert "Clock off by 7.5 s" in page and "Another version" in page


def test_workers_shows_which_queues_hosts_serve(alice: Visitor) -> None:
    node_beat(kind=NodeKind.HOST, name="h1", started_at=clock.now(), queues=["cpu", "gpu"])
    response = alice.get("worker-list")
    queues = {queue.name: queue for queue in response.context["queues"]}
    assert {name: (queue.n_hosts, queue.served) for name, queue in queues.items()} == {
        "cpu": (1, False),
        "gpu": (1, False),
    }
    rows = {row.type.name: row for row in response.context["instance_types"]}
    assert (rows["ml.p2.xlarge"].worked, rows["ml.p2.xlarge"].hosted) == (False, True)
    assert "No worker serves it" in response.content.decode()


def test_workers_names_every_instance_type_with_its_use_and_limit(alice: Visitor) -> None:
    rows = {row.type.name: row for row in alice.get("worker-list").context["instance_types"]}
    assert rows["ml.m5.large"].in_use == 0
    assert rows["ml.m5.large"].type.limit == 20


def test_the_fragment_of_workers_is_part_of_its_page(alice: Visitor) -> None:
    fragment: Any = alice.get("worker-list", htmx=True)
    assert b"<html" not in fragment.content and b'id="process-table"' in fragment.content
