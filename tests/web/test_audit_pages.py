"""What people do that belongs to no project is audited too; the pages of the audit log, and who may read them."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mlplatform.core.audit.record import audit_record
from mlplatform.core.models import AuditEvent
from mlplatform.web.acts import ACTIONS, NOT_AUDITED
from mlplatform.web.audit_words import ACTION_WORDS
from tests.audited import events_after, newest_event_id
from tests.web.conftest import Visitor
from tests.web.test_pages import patterns

PAGES = [page for page in patterns() if page[0] != "asset"]


def test_every_page_that_takes_a_form_says_whether_it_is_audited(alice: Visitor) -> None:
    values = {
        "project": "alpha",
        "name": "x",
        "key_id": "x",
        "username": "x",
        "uid": "x",
        "address": "x",
        "table": "x",
        "path": "x",
        "inference_id": "x",
    }
    client = alice.client
    taking = set()
    for name, arguments in PAGES:
        address = reverse(f"web:{name}", kwargs={argument: values[argument] for argument in arguments})
        if client.post(address).status_code != 405:
            taking.add(name)
            client.force_login(alice.user)
    assert taking == set(ACTIONS) | NOT_AUDITED


def newest() -> AuditEvent:
    return AuditEvent.objects.order_by("-pk")[0]


def test_signing_in_and_out_here_and_everywhere_is_in_the_log(alice: Visitor) -> None:
    client = Client()
    client.post("/login/", {"username": "alice", "password": "a long password"})
    signed_in = newest()
    assert (signed_in.action, signed_in.outcome, signed_in.username) == ("session.create", "done", "alice")
    assert (signed_in.face, signed_in.project_id) == ("web", None)
    client.post("/logout/")
    assert (newest().action, newest().username) == ("session.delete", "alice")
    client.force_login(alice.user)
    known = newest_event_id()
    client.post("/logout/everywhere/")
    assert [event.action for event in events_after(known)] == ["session.delete_all", "session.delete"]


def test_a_failed_sign_in_names_a_user_that_exists_and_nothing_else_that_was_typed(alice: Visitor) -> None:
    client = Client()
    client.post("/login/", {"username": "alice", "password": "secret-typed-1"})
    assert (newest().action, newest().outcome, newest().target) == ("session.create", "refused", "alice")
    client.post("/login/", {"username": "secret-typed-2", "password": "x"})
    assert (newest().action, newest().outcome, newest().target) == ("session.create", "refused", "")
    assert newest().address == "127.0.0.1"
    assert "secret-typed" not in str(list(AuditEvent.objects.values()))


def test_a_changed_password_is_in_the_log_without_the_password(alice: Visitor) -> None:
    client, known = alice.client, newest_event_id()
    new = "another long one"
    wrong = {"old_password": "wrong one", "new_password1": new, "new_password2": new}
    client.post("/preferences/password/", wrong)
    client.post("/preferences/password/", wrong | {"old_password": "a long password"})
    found = [(event.action, event.outcome, event.target) for event in events_after(known)]
    assert found[-2:] == [("password.change", "refused", "alice"), ("password.change", "done", "alice")]
    assert new not in str(list(AuditEvent.objects.values()))


def test_making_a_project_is_in_the_log_and_so_is_being_refused(alice: Visitor) -> None:
    client = alice.client
    assert client.post("/projects/new/", {"name": "beta"}).status_code == 403
    assert (newest().action, newest().outcome, newest().username) == ("project.create", "refused", "alice")
    User.objects.filter(username="alice").update(is_staff=True)
    client.post("/projects/new/", {"name": "beta"})
    assert (newest().action, newest().outcome, newest().target) == ("project.create", "done", "beta")


def record(who: Visitor, n_events: int, *, action: str = "model.create", target: str = "") -> None:
    for number in range(n_events):
        audit_record(actor=who.actor, action=action, target=target or f"m-{number}")


def targets(page: str) -> list[str]:
    return [part.partition("<")[0] for part in page.split('<span class="target">')[1:]]


def test_only_administrators_read_the_log_and_only_of_their_project(
    alice: Visitor, erin: Visitor, bob: Visitor, charlie: Visitor
) -> None:
    record(alice, 1, target="of-alpha")
    record(charlie, 1, target="of-gamma")
    page = alice.get("audit-event-list").content.decode()
    assert "of-alpha" in page and "of-gamma" not in page and "charlie" not in page
    for page_name in ("audit-event-list", "audit-event-download"):
        assert [who.get(page_name).status_code for who in (erin, bob)] == [403, 403]
        assert charlie.client.get(alice.url(page_name)).status_code == 404
        assert alice.post(page_name).status_code == 405
    refused = AuditEvent.objects.filter(action="audit_event.list", outcome="refused")
    assert sorted(refused.values_list("username", flat=True)) == ["bob", "erin"]


def test_the_log_is_in_the_navigation_of_administrators_only(alice: Visitor, bob: Visitor) -> None:
    link = alice.url("audit-event-list")
    assert link in alice.get("project-home").content.decode()
    assert link in alice.client.get("/preferences/").content.decode()
    assert link not in bob.get("project-home").content.decode()


def test_pages_follow_one_another_without_gap_or_repetition_while_events_are_added(alice: Visitor) -> None:
    record(alice, 120)
    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        response = alice.get("audit-event-list", query, htmx=True)
        seen += targets(response.content.decode())
        record(alice, 3, target="meanwhile")
        if response.context["page"].next is None:
            break
        query = {"cursor": response.context["page"].next}
    assert [target for target in seen if target.startswith("m-")] == [f"m-{n}" for n in reversed(range(120))]
    assert seen[0] == "m-119" and "meanwhile" not in seen


def test_events_are_found_by_user_action_outcome_time_and_text(alice: Visitor, erin: Visitor) -> None:
    record(alice, 1, target="hers")
    record(erin, 1, target="erins", action="training_job.stop")
    AuditEvent.objects.filter(target="hers").update(
        at=datetime(2026, 3, 9, 23, 30, tzinfo=UTC), address="203.0.113.9"
    )

    def found(**query: str) -> set[str]:
        return set(targets(alice.get("audit-event-list", query).content.decode())) & {
            "hers",
            "erins",
        }

    assert found() == {"hers", "erins"}
    assert found(user="erin") == {"erins"}
    assert found(action="training_job.stop") == {"erins"} == found(action="training_job")
    assert found(action="training") == set() == found(outcome="refused")
    assert found(search="ＥＲＩＮＳ") == {"erins"}
    assert found(search="203.0.113.9") == {"hers"}
    assert found(search="fe80::1%eth0") == set()
    assert found(since="2026-03-09", until="2026-03-09") == {"hers"}
    assert found(until="2026-03-08") == set()
    alice_in_japan = alice.client
    alice_in_japan.cookies["time_zone"] = "Asia/Tokyo"
    page = alice_in_japan.get(alice.url("audit-event-list"), {"since": "2026-03-10", "until": "2026-03-10"})
    assert targets(page.content.decode()) == ["hers"]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"until": "0001-01-01"},
        {"since": "9999-12-31"},
        {"outcome": "perhaps"},
        {"cursor": "forged"},
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(alice: Visitor, query: dict[str, str]) -> None:
    response = alice.get("audit-event-list", query)
    assert response.status_code == 400
    assert next(iter(query)) in response.content.decode()


def test_what_is_in_the_log_is_text_and_never_markup(alice: Visitor) -> None:
    record(alice, 1, target="<script>alert(1)</script>")
    page = alice.get("audit-event-list").content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


def test_the_files_have_every_event_that_the_filter_lets_through(alice: Visitor) -> None:
    record(alice, 2100)
    record(alice, 1, target="=cmd()", action="model.delete")
    answer = alice.get("audit-event-download", {"format": "csv"})
    assert answer["Content-Disposition"].startswith("attachment") and "no-store" in answer["Cache-Control"]
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == AuditEvent.objects.filter(project_id=alice.project.pk).count()
    assert rows[0]["target"] == "'=cmd()"
    assert (rows[1]["target"], rows[1]["username"], rows[1]["face"]) == ("m-2099", "alice", "command")
    answer = alice.get("audit-event-download", {"format": "json", "action": "model.delete"})
    (only,) = json.loads(b"".join(answer.streaming_content))
    assert (only["target"], only["outcome"], only["detail"]) == ("=cmd()", "done", {})
    assert alice.get("audit-event-download", {"format": "xml"}).status_code == 400


def test_an_empty_log_says_what_will_be_here(charlie: Visitor) -> None:
    AuditEvent.objects.all().delete()
    assert b"Nothing has happened yet" in charlie.get("audit-event-list").content
    assert b"No event matches" in charlie.get("audit-event-list", {"user": "nobody"}).content


def test_every_action_of_a_project_has_words(alice: Visitor) -> None:
    of_people = {"login", "logout", "password", "sign-out-everywhere"}
    assert {action for name, action in ACTIONS.items() if name not in of_people} <= set(ACTION_WORDS)
    root = Path(__file__).parents[2]
    sources = [*(root / "jobs").rglob("*.py"), *(root / "endpoints").rglob("*.py")]
    written = {
        act for file in sources for act in re.findall(r'action="([a-z_]+\.[a-z_]+)"', file.read_text())
    }
    assert "source.create" in written and written <= set(ACTION_WORDS)


def test_an_old_event_stays_when_its_user_and_project_are_gone(alice: Visitor, charlie: Visitor) -> None:
    record(charlie, 1, target="kept")
    charlie.user.delete()
    event = AuditEvent.objects.get(target="kept")
    assert (event.username, event.project_name) == ("charlie", "gamma")
    assert event.at > datetime.now(UTC) - timedelta(minutes=1)
