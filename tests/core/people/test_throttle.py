"""Who guesses passwords is slowed down; who knows one is let in, and nobody is locked out by somebody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from mlplatform.core import clock
from mlplatform.core.audit.record import Face, Origin, audit_origin
from mlplatform.core.errors import NotAuthenticated
from mlplatform.core.models import AuditEvent, SignInThrottle
from mlplatform.core.people import throttle
from mlplatform.core.people.key_attempts import WRONG_MAX, KeysThrottled, actor_for_token, attempts
from mlplatform.core.people.throttle import ADDRESS, PERSON, SignInThrottled, attempt_begin, attempt_succeeded

HOME, AWAY = "198.51.100.7", "203.0.113.9"
RIGHT = "a long password"


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", password=RIGHT)


@pytest.fixture
def time_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until it is told how many seconds have passed."""
    present = datetime.now(tz=clock.now().tzinfo)

    def passes(seconds: float) -> None:
        nonlocal present
        present += timedelta(seconds=seconds)

    monkeypatch.setattr(clock, "now", lambda: present)
    return passes


def sign_in(username: str, password: str, address: str = HOME) -> Any:
    with audit_origin(Origin(Face.WEB, address)):
        return authenticate(None, username=username, password=password)


def wait_s(username: str = "alice", password: str = "wrong", address: str = HOME) -> int:
    """How long an attempt is told to wait; 0 where it was made."""
    try:
        sign_in(username, password, address)
    except SignInThrottled as error:
        return error.retry_after_s
    return 0


def test_the_delay_doubles_with_every_failure_and_ends_at_a_quarter_of_an_hour(
    alice: User, time_passes: Callable[[float], None]
) -> None:
    assert [wait_s() for _ in range(5)] == [0] * 5
    delays = []
    for _ in range(10):
        delays.append(wait_s())
        time_passes(delays[-1])
        assert wait_s() == 0
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_waiting_does_not_get_longer_by_trying_while_it_lasts(
    alice: User, time_passes: Callable[[float], None]
) -> None:
    for _ in range(5):
        wait_s()
    assert [wait_s() for _ in range(50)] == [5] * 50
    time_passes(5)
    assert sign_in("alice", RIGHT) == alice


def test_the_right_password_is_not_taken_while_it_is_blocked_and_resets_the_count_afterwards(
    alice: User, time_passes: Callable[[float], None]
) -> None:
    for _ in range(5):
        wait_s()
    assert wait_s(password=RIGHT) == 5
    time_passes(5)
    assert sign_in("alice", RIGHT) == alice
    assert [wait_s() for _ in range(5)] == [0] * 5


def test_nobody_is_locked_out_by_who_guesses_from_elsewhere(
    alice: User, time_passes: Callable[[float], None]
) -> None:
    for _ in range(40):
        wait_s(address=AWAY)
        time_passes(1)
    assert wait_s(address=AWAY) > 0
    assert sign_in("alice", RIGHT, HOME) == alice


def test_who_tries_many_names_from_one_address_is_stopped_and_others_there_are_told_to_wait(
    alice: User, time_passes: Callable[[float], None]
) -> None:
    waits = [wait_s(f"name-{number}", address=AWAY) for number in range(ADDRESS.n_free + 1)]
    assert waits == [0] * ADDRESS.n_free + [60]
    assert wait_s("alice", RIGHT, AWAY) == 60
    assert sign_in("alice", RIGHT, HOME) == alice
    time_passes(60)
    assert sign_in("alice", RIGHT, AWAY) == alice


def test_an_office_that_signs_in_all_day_behind_one_address_is_never_throttled(alice: User) -> None:
    for _ in range(ADDRESS.n_free * 2):
        assert sign_in("alice", RIGHT) == alice
    assert not SignInThrottle.objects.filter(n_failures__gt=0).exists()


def test_a_right_password_does_not_wipe_out_the_failures_of_the_address(alice: User) -> None:
    for number in range(ADDRESS.n_free - 1):
        wait_s(f"name-{number}")
    assert sign_in("alice", RIGHT) == alice
    assert wait_s("one-more") == 0
    assert wait_s("and-another") == 60


def test_addresses_of_one_ipv6_subscriber_are_one(alice: User) -> None:
    for number in range(5):
        assert wait_s(address=f"2001:db8:1:2::{number + 1}") == 0
    assert wait_s(address="2001:db8:1:2:ffff::9") == 5
    assert wait_s(address="2001:db8:1:3::1") == 0


def test_what_was_long_ago_is_forgotten(alice: User, time_passes: Callable[[float], None]) -> None:
    for _ in range(5):
        wait_s()
    time_passes(PERSON.forget.total_seconds() + 1)
    assert [wait_s() for _ in range(5)] == [0] * 5
    time_passes(PERSON.forget.total_seconds() + 1)
    wait_s("somebody-else", address=AWAY)
    assert not SignInThrottle.objects.filter(address=HOME).exists()


def test_a_name_that_does_not_exist_costs_as_many_hashes_as_a_wrong_password(
    alice: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 10)
    User.objects.create_user("strong", password=RIGHT)
    User.objects.create_user("disabled", password=RIGHT, is_active=False)
    hashed: list[str] = []
    encode = PBKDF2PasswordHasher.encode

    def counted(self: Any, password: str, salt: str, iterations: int | None = None) -> str:
        hashed.append(password)
        return encode(self, password, salt, iterations)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", counted)
    costs = {}
    for username in ("strong", "nobody", "disabled"):
        hashed.clear()
        assert sign_in(username, "wrong") is None
        costs[username] = len(hashed)
    assert set(costs.values()) == {1}, costs


def test_what_is_counted_says_whom_for_users_only(alice: User) -> None:
    wait_s("alice")
    wait_s("a password in the wrong field")
    kept = str(list(SignInThrottle.objects.values()))
    assert "alice" in kept and "wrong field" not in kept


def test_being_throttled_is_in_the_audit_log_once(alice: User) -> None:
    for _ in range(25):
        wait_s()
    found = AuditEvent.objects.filter(action="session.throttle")
    assert [(one.outcome, one.target, one.address) for one in found] == [("refused", "alice", HOME)]


def test_an_operator_unlocks_a_user_or_an_address(alice: User) -> None:
    for _ in range(6):
        wait_s()
    said = StringIO()
    call_command("sign_in", "list", stdout=said)
    assert HOME in said.getvalue() and "alice" in said.getvalue()
    call_command("sign_in", "unlock", "--user", "alice", stdout=said)
    assert sign_in("alice", RIGHT) == alice
    event = AuditEvent.objects.get(action="session.unlock")
    assert (event.username, event.face, event.target) == ("operator", "command", f"{HOME} alice")
    with pytest.raises(CommandError, match="Nothing is counted"):
        call_command("sign_in", "unlock", "--user", "nobody", stdout=said)
    for number in range(60):
        wait_s(f"name-{number}")
    call_command("sign_in", "unlock", "--address", HOME, stdout=said)
    assert sign_in("alice", RIGHT) == alice


@pytest.mark.django_db(transaction=True)
def test_a_hundred_attempts_at_once_are_a_hundred_attempts() -> None:
    """Whatever interleaves, as between web processes: no more get through than would one after another."""
    User.objects.create_user("alice", password=RIGHT)
    admitted: list[int] = []
    start = threading.Barrier(20)

    def attempt(number: int) -> None:
        start.wait()
        try:
            for _ in range(5):
                try:
                    attempt_begin(address=HOME, username="alice")
                    admitted.append(number)
                except SignInThrottled:
                    pass
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    most = PERSON.n_free + 10  # on a machine so slow that delays pass meanwhile
    assert PERSON.n_free <= len(admitted) <= most
    assert SignInThrottle.objects.get(username="alice").n_failures == len(admitted)
    attempt_succeeded(address=HOME, username="alice")
    assert not SignInThrottle.objects.filter(username="alice").exists()
    assert throttle.throttle_list() == []


def test_wrong_keys_from_one_subscribers_network_are_one_count(db: None) -> None:
    attempts.forget()
    try:
        for number in range(WRONG_MAX):
            with pytest.raises(NotAuthenticated):
                actor_for_token(token=f"guess.{number}", address=f"2001:db8:0:1::{number:x}")
        with pytest.raises(KeysThrottled):
            actor_for_token(token="guess.guess", address="2001:db8:0:1:ffff::1")
        with pytest.raises(NotAuthenticated):
            actor_for_token(token="guess.guess", address="2001:db8:0:2::1")
    finally:
        attempts.forget()
