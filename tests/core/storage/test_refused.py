"""What is told of an S3 store that refuses: what is the matter, and which setting to look at."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from mlplatform.core.errors import TransientError
from mlplatform.core.storage.store import ObjectStore
from tests.services import free_port
from tests.setup.wrong_services import s3_that_says

URI = "s3://mlplatform-1/a/b.csv"
READS: dict[str, Callable[[ObjectStore], object]] = {
    "size": lambda store: store.size(URI),
    "get": lambda store: store.get_bytes(URI),
    "piece": lambda store: store.piece(URI, offset=0, size_bytes=1),
    "walk": lambda store: list(store.walk("s3://mlplatform-1/a")),
}
WRITES: dict[str, Callable[[ObjectStore], object]] = {
    "put": lambda store: store.put_bytes(b"x", URI),
    "delete": lambda store: store.delete([URI]),
}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-word")


def told(ask: Callable[[ObjectStore], object]) -> str:
    with pytest.raises(TransientError) as refused:
        ask(ObjectStore("s3://bucket"))
    assert "s3cret-word" not in refused.value.message
    return refused.value.message


@pytest.mark.parametrize("ask", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_without_credentials_it_is_said_that_there_are_none(
    ask: Callable[[ObjectStore], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_that_says(403) as machine:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", machine)
        message = told(ask)
    assert "no credentials" in message and "AWS_ACCESS_KEY_ID" in message
    assert "denied" not in message


@pytest.mark.parametrize(
    ("ask", "may_not", "is_not_told"),
    [(ask, "may not read", "write") for ask in READS.values()]
    + [(ask, "may not write and delete", "read") for ask in WRITES.values()],
    ids=[*READS, *WRITES],
)
def test_who_may_not_is_told_of_what_was_asked(
    ask: Callable[[ObjectStore], object],
    may_not: str,
    is_not_told: str,
    keys: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with s3_that_says(403, "AccessDenied") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        message = told(ask)
    assert may_not in message and "AWS_ACCESS_KEY_ID" in message
    assert is_not_told not in message


def test_a_clock_that_is_off_is_told_as_that(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_that_says(403, "RequestTimeTooSkewed") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert "the clock of this machine differs" in told(READS["get"])


@pytest.mark.parametrize("key", ["grid-401/m", "grid-403/m", "AccessDenied.csv"])
def test_a_store_that_is_away_has_refused_nothing_whatever_the_object_is_called(
    keys: None, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    message = told(lambda store: store.get_bytes(f"s3://mlplatform-1/{key}"))
    assert "key" not in message.replace(key, "") and "denied" not in message.replace(key, "")


def test_a_key_that_the_store_does_not_know_is_said(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_that_says(403, "InvalidAccessKeyId") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert "does not know the platform's key" in told(READS["get"])
