"""Tokens of runs: what they say, and that nobody else makes or changes one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.models import Model
from endpoints.run_token import RunClaim, run_token_check, run_token_new
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.run_tokens import run_token_for, run_token_key
from mlplatform.core import clock
from mlplatform.core.errors import NotAuthenticated
from mlplatform.core.people.access import Actor

KEY, NOW = b"a key of thirty-two bytes, or so.", 1_000_000.0


def token(**given: object) -> bytes:
    wanted = {"key": KEY, "project": "flowers", "endpoint": "iris", "expires_at": NOW + 60} | given
    return b"Run " + run_token_new(**wanted).encode()  # type: ignore[arg-type]


def test_a_token_says_project_endpoint_and_end() -> None:
    assert run_token_check(token(), key=KEY, now=NOW) == RunClaim("flowers", "iris", NOW + 60)


names = st.text(max_size=70)


@given(names, names, st.floats(NOW + 1, NOW + 1e6))
def test_whatever_names_are_in_it_come_back(project: str, endpoint: str, expires_at: float) -> None:
    made = (
        b"Run " + run_token_new(key=KEY, project=project, endpoint=endpoint, expires_at=expires_at).encode()
    )
    if len(made) <= 1000:
        assert run_token_check(made, key=KEY, now=NOW) == RunClaim(project, endpoint, expires_at)


@pytest.mark.parametrize("late_s", [0.0, 0.001, 1e9])
def test_an_expired_one_is_refused(late_s: float) -> None:
    with pytest.raises(NotAuthenticated, match="time of this run is over"):
        run_token_check(token(), key=KEY, now=NOW + 60 + late_s)


def test_one_signed_with_another_key_is_refused() -> None:
    with pytest.raises(NotAuthenticated, match="no token of a run of this platform"):
        run_token_check(token(key=b"another"), key=KEY, now=NOW)


@pytest.mark.parametrize("change", [["flowers", "roses", NOW + 60], ["flowers", "iris", NOW + 9e9]])
def test_what_it_says_cannot_be_changed(change: list[object]) -> None:
    signature = token().partition(b".")[2]
    claim = base64.urlsafe_b64encode(json.dumps(change).encode()).rstrip(b"=")
    with pytest.raises(NotAuthenticated):
        run_token_check(b"Run " + claim + b"." + signature, key=KEY, now=NOW)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(authorization: bytes) -> None:
    for sent in (authorization, b"Run " + authorization, token() + authorization + b"x"):
        with pytest.raises(NotAuthenticated):
            run_token_check(sent, key=KEY, now=NOW)


@pytest.mark.parametrize(
    "sent", [None, b"", b"Bearer AK.secret", b"Run", b"Run a.", b"Run .a", b"Run " + b"." * 2000]
)
def test_another_form_is_refused(sent: bytes | None) -> None:
    with pytest.raises(NotAuthenticated):
        run_token_check(sent, key=KEY, now=NOW)


def test_without_a_key_nothing_is_signed_or_believed() -> None:
    with pytest.raises(ValueError, match="need a key"):
        token(key=b"")
    with pytest.raises(ValueError, match="need a key"):
        run_token_check(token(), key=b"", now=NOW)


def test_the_platform_s_token_is_for_one_endpoint_and_one_hour(alice: Actor, iris_model: Model) -> None:
    endpoint = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model=iris_model.name)])
    now = clock.now().timestamp()
    claim = run_token_check(
        b"Run " + run_token_for(endpoint=endpoint, valid_s=3600).encode(), key=run_token_key(), now=now
    )
    assert (claim.project, claim.endpoint) == ("flowers", "iris")
    assert 3590 < claim.expires_at - now < 3610
