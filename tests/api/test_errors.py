"""Errors have one form, whatever is wrong, and give nothing away."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from mlplatform.core.models import AccessKey, IdempotentRequest
from tests.api.conftest import Person


def send(person: Person, body: bytes, content_type: str = "application/json") -> Any:
    return person.client.generic("POST", person.url("access-keys/"), body, content_type=content_type)


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert set(found) == {"type", "title", "status", "code", "detail", "errors", "request_id"}
    assert found["status"] == status
    assert found["request_id"] == answer.headers["X-Request-Id"]
    return found


def test_an_unknown_field_is_named_with_those_there_are(bob: Person) -> None:
    found = problem(bob.post("access-keys/", {"descripton": "typo"}), 400)
    assert found["code"] == "ValidationException"
    assert [error["field"] for error in found["errors"]] == ["descripton"]
    assert "description" in found["errors"][0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"description": NaN}',
        b'{"description": "a", "description": "b"}',
        b"[" * 100_000,
        b"[]",
    ],
)
def test_a_body_that_is_no_object_is_refused(bob: Person, body: bytes) -> None:
    problem(send(bob, body), 400)


def test_json_nested_too_deep_is_refused(bob: Person) -> None:
    body = json.dumps({"description": json.loads("[" * 40 + "]" * 40)}).encode()
    assert "deeper than 32" in problem(send(bob, body), 400)["detail"]


@pytest.mark.parametrize("value", [1, True, None, ["x"], {"a": 1}])
def test_a_value_of_another_type_is_not_converted(bob: Person, value: Any) -> None:
    found = problem(bob.post("access-keys/", {"description": value}), 400)
    assert [error["field"] for error in found["errors"]] == ["description"]


def test_a_body_over_the_limit_is_refused(bob: Person, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    problem(send(bob, b'{"description": "' + b"x" * 1000 + b'"}'), 413)


def test_another_content_type_is_refused(bob: Person) -> None:
    problem(send(bob, b"description=x", "application/x-www-form-urlencoded"), 415)


def test_an_answer_in_another_form_is_not_to_be_had(bob: Person) -> None:
    problem(bob.client.get(bob.url("members/"), headers={"accept": "application/xml"}), 406)


def test_another_method_is_refused_with_those_there_are(bob: Person) -> None:
    answer = bob.client.put(bob.url("access-keys/"), {}, format="json")
    problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "HEAD"}


def test_head_is_get_without_a_body_and_options_are_not_offered(bob: Person) -> None:
    answer = bob.client.head(bob.url("members/"))
    assert (answer.status_code, answer.content) == (200, b"")
    problem(bob.client.options(bob.url("members/")), 405)


@pytest.mark.parametrize("path", ["nothing/", "members", "members/../../", "datasets/a%00b/", "models/a.b/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_that_is_none_is_a_problem_too(bob: Person, path: str, method: str) -> None:
    problem(bob.client.generic(method, bob.url(path)), 404)


def test_nobody_is_told_how_to_sign_in(client: APIClient, alice: Person) -> None:
    answer = client.get(alice.url("members/"))
    assert problem(answer, 401)["code"] == "MissingAuthenticationTokenException"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mlplatform"'


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Bearer x.y", "Basic YTpi", "Bearer " + "é" * 9, "Bearer a.\0"]
)
def test_a_wrong_key_is_refused_alike(alice: Person, header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    problem(client.get(alice.url("members/")), 401)


def test_a_session_needs_the_csrf_token(alice: Person) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice.user)
    problem(client.post(alice.url("access-keys/"), {}, format="json"), 403)
    assert client.get(alice.url("access-keys/")).json()["count"] == 1


def test_a_fault_of_ours_shows_nothing_of_it(
    alice: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("SELECT secret FROM /etc/passwd")

    monkeypatch.setattr("mlplatform.api.views.access.member_list", fail)
    with caplog.at_level(logging.ERROR):
        found = problem(alice.get("members/"), 500)
    assert "SELECT" not in json.dumps(found)
    assert found["request_id"] in caplog.text
    assert "SELECT" in caplog.text


def test_messages_follow_the_callers_language(bob: Person) -> None:
    english = bob.post("access-keys/", {"lifetime_s": 1}).json()
    japanese = bob.client.post(
        bob.url("access-keys/"), {"lifetime_s": 1}, format="json", headers={"accept-language": "ja"}
    ).json()
    assert english["code"] == japanese["code"]
    assert english["errors"][0]["message"] != japanese["errors"][0]["message"]


def test_characters_of_other_languages_are_sent_as_they_are(bob: Person) -> None:
    answer = bob.client.post(
        bob.url("access-keys/"), {"lifetime_s": 1}, format="json", headers={"accept-language": "ja"}
    )
    assert b"\\u" not in answer.content
    assert answer.json()["errors"][0]["message"] in answer.content.decode("utf-8")


def test_an_idempotency_key_belongs_to_one_request(bob: Person) -> None:
    assert bob.post("access-keys/", {"description": "a"}, **{"Idempotency-Key": "k"}).status_code == 201
    assert problem(bob.post("access-keys/", {"description": "b"}, **{"Idempotency-Key": "k"}), 422)["code"]


def test_an_idempotency_key_is_ones_own(alice: Person, bob: Person) -> None:
    first = alice.post("access-keys/", {}, **{"Idempotency-Key": "k"})
    second = bob.post("access-keys/", {}, **{"Idempotency-Key": "k"})
    assert first.json()["key_id"] != second.json()["key_id"]


def test_while_the_first_request_runs_the_second_is_told_to_come_back(bob: Person) -> None:
    bob.post("access-keys/", {}, **{"Idempotency-Key": "k"})
    IdempotentRequest.objects.update(response=None)
    answer = bob.post("access-keys/", {}, **{"Idempotency-Key": "k"})
    assert problem(answer, 409)["code"] == "IdempotentRequestInProgress"
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_request_that_failed_gives_its_idempotency_key_back(bob: Person) -> None:
    problem(bob.post("access-keys/", {"lifetime_s": 1}, **{"Idempotency-Key": "k"}), 400)
    assert bob.post("access-keys/", {"lifetime_s": 60}, **{"Idempotency-Key": "k"}).status_code == 201


@pytest.mark.parametrize("key", ["", "with space", "x" * 129])
def test_an_idempotency_key_that_is_none_is_refused(bob: Person, key: str) -> None:
    found = problem(bob.post("access-keys/", {}, **{"Idempotency-Key": key}), 400)
    assert found["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_requests_with_one_key_one_is_carried_out(bob: Person) -> None:
    def send_one(_: int) -> int:
        try:
            return int(bob.post("access-keys/", {}, **{"Idempotency-Key": "k"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(send_one, range(8)))
    assert 201 in statuses
    assert set(statuses) <= {201, 409}
    assert AccessKey.objects.filter(user=bob.user).count() == 2
