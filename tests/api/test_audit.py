"""The audit log by REST: of one's own project, for administrators, and only to be read."""

from __future__ import annotations

from typing import Any

import pytest

from mlplatform.core.audit.record import audit_record
from mlplatform.core.models import AuditEvent
from tests.api.conftest import Person


def record(who: Person, *targets: str, action: str = "model.create") -> None:
    for target in targets:
        audit_record(actor=who.actor, action=action, target=target, detail={"n": 1})


def targets(answer: Any) -> list[str]:
    return [item["target"] for item in answer.json()["items"]]


def test_an_event_says_who_did_what_to_what_when_and_from_where(alice: Person) -> None:
    answer = alice.client.put(alice.url("members/bob/"), {"role": "viewer"}, format="json")
    assert answer.status_code == 400  # no such user
    key = alice.post("access-keys/", {"description": "for a notebook"})
    (event,) = alice.get("audit-events/", action="access_key.create", limit=1).json()["items"]
    assert event["target"] == key.json()["key_id"]
    assert (event["username"], event["outcome"], event["face"]) == ("alice", "done", "api")
    assert (event["key_id"], event["address"]) == (alice.token.partition(".")[0], "127.0.0.1")
    assert event["request_id"] == key["X-Request-Id"]
    assert event["detail"] == {"for": "alice", "description": "for a notebook", "expires_at": None}
    assert event["at"].endswith("Z")
    assert key.json()["secret"] not in str(list(AuditEvent.objects.values()))


def test_only_events_of_the_project_are_seen_and_only_by_administrators(
    alice: Person, erin: Person, bob: Person, charlie: Person
) -> None:
    record(alice, "of-alpha")
    record(charlie, "of-gamma")
    assert "of-gamma" not in targets(alice.get("audit-events/"))
    assert "of-alpha" not in targets(charlie.get("audit-events/"))
    assert [who.get("audit-events/").status_code for who in (erin, bob)] == [403, 403]
    assert charlie.client.get(alice.url("audit-events/")).status_code == 404
    refused = alice.get("audit-events/", outcome="refused").json()["items"]
    assert {(item["username"], item["action"]) for item in refused} == {
        ("erin", "audit_event.list"),
        ("bob", "audit_event.list"),
    }


def test_pages_follow_one_another_while_events_are_added(alice: Person) -> None:
    record(alice, *(f"m-{number}" for number in range(25)))
    seen, cursor = [], ""
    while cursor is not None:
        answer = alice.get(
            "audit-events/", limit=10, action="model.create", **({"cursor": cursor} if cursor else {})
        )
        seen += targets(answer)
        record(alice, "meanwhile")
        cursor = answer.json()["next"]
    assert seen == [f"m-{number}" for number in reversed(range(25))]


def test_events_are_found_by_user_action_outcome_time_and_text(alice: Person, erin: Person) -> None:
    record(alice, "hers")
    record(erin, "erins", action="training_job.stop")
    AuditEvent.objects.filter(target="hers").update(at="2026-03-09T23:30:00Z")

    def found(**query: str) -> list[str]:
        return [name for name in targets(alice.get("audit-events/", **query)) if name in {"hers", "erins"}]

    assert found() == ["erins", "hers"]
    assert found(order="at") == ["hers", "erins"]
    assert found(user="erin") == found(action="training_job") == found(search="rin") == ["erins"]
    assert found(since="2026-03-09T23:30:00Z", until="2026-03-10T00:00:00Z") == ["hers"]
    assert found(until="2026-03-10T08:30:00+09:00") == []
    assert found(since="0001-01-01T00:00:00+14:00", until="9999-12-31T23:59:59-14:00") == ["erins", "hers"]
    assert found(until="0001-01-01T00:00:00+14:00") == found(since="9999-12-31T23:59:59-14:00") == []
    assert found(outcome="refused") == found(action="training") == []


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"outcome": "perhaps"},
        {"order": "username"},
        {"cursor": "forged"},
        {"limit": "0"},
        {"detail": "x"},
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(alice: Person, query: dict[str, str]) -> None:
    answer = alice.get("audit-events/", **query)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_the_log(alice: Person, method: str) -> None:
    assert getattr(alice.client, method)(alice.url("audit-events/"), {}, format="json").status_code == 405
