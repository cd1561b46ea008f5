from __future__ import annotations

import pytest

from endpoints.relay import handshake
from endpoints.relay.handshake import Asked, Word, relay_key
from endpoints.run_token import run_token_new

KEY = relay_key("the platform's secret key")
BINDING = b"c" * 32


def _asked(name: str = "runs") -> Asked:
    return Asked(name, handshake.nonce_new())


def test_who_has_the_key_is_believed_and_believes_the_answer() -> None:
    theirs, asked = handshake.nonce_new(), _asked("replica/0123456789abcdef")
    assert handshake.greeting_read(handshake.greeting(theirs)) == theirs
    said = handshake.request(key=KEY, binding=BINDING, listener_nonce=theirs, asked=asked)
    assert handshake.request_bytes(said[:10]) is None
    assert handshake.request_bytes(said) == len(said)
    assert handshake.request_read(said, key=KEY, binding=BINDING, listener_nonce=theirs) == asked
    for word in Word:
        answered = handshake.answer(word, key=KEY, binding=BINDING, listener_nonce=theirs, asked=asked)
        assert len(answered) == handshake.ANSWER_BYTES
        told = handshake.answer_read(answered, key=KEY, binding=BINDING, listener_nonce=theirs, asked=asked)
        assert told == word


@pytest.mark.parametrize("changed", ["key", "binding", "listener_nonce"])
def test_a_request_is_of_no_use_with_another_key_certificate_or_nonce(changed: str) -> None:
    theirs, asked = handshake.nonce_new(), _asked()
    made = {"key": KEY, "binding": BINDING, "listener_nonce": theirs}
    said = handshake.request(asked=asked, **made)
    other = {"key": relay_key("another"), "binding": b"m" * 32, "listener_nonce": handshake.nonce_new()}
    assert handshake.request_read(said, **made | {changed: other[changed]}) is None


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_request_that_was_changed_on_its_way_is_not_believed(place: int) -> None:
    theirs = handshake.nonce_new()
    said = bytearray(handshake.request(key=KEY, binding=BINDING, listener_nonce=theirs, asked=_asked()))
    said[place] ^= 1
    assert handshake.request_read(bytes(said), key=KEY, binding=BINDING, listener_nonce=theirs) is None


def test_an_answer_is_of_no_use_for_another_word_name_or_caller() -> None:
    theirs, asked = handshake.nonce_new(), _asked()
    kept = {"key": KEY, "binding": BINDING, "listener_nonce": theirs}
    answered = handshake.answer(Word.NOBODY, asked=asked, **kept)
    assert handshake.answer_read(bytes([Word.CONNECTED]) + answered[1:], asked=asked, **kept) is None
    assert handshake.answer_read(answered, asked=Asked("replica/x", asked.nonce), **kept) is None
    assert handshake.answer_read(answered, asked=_asked(), **kept) is None
    # What the caller said is no answer either, so that nobody can throw it back at him.
    said = handshake.request(asked=asked, **kept)
    assert handshake.answer_read(bytes([0]) + said[32:64], asked=asked, **kept) is None


def test_the_key_is_no_other_key_of_the_platform() -> None:
    assert len(KEY) == 32
    assert relay_key("a") != relay_key("b")
    assert run_token_new(key=KEY, project="p", endpoint="e", expires_at=1.0) != run_token_new(
        key=b"the platform's secret key", project="p", endpoint="e", expires_at=1.0
    )


def test_no_key_proves_nothing() -> None:
    with pytest.raises(ValueError, match="need a key"):
        handshake.request(key=b"", binding=BINDING, listener_nonce=b"n" * 32, asked=_asked())


def test_a_name_has_an_end_and_a_greeting_a_form() -> None:
    with pytest.raises(ValueError, match="1 to 128"):
        handshake.request(key=KEY, binding=BINDING, listener_nonce=b"n" * 32, asked=_asked("x" * 129))
    with pytest.raises(ValueError, match="no relay"):
        handshake.greeting_read(b"HTTP/1.1 400 Bad Request\r\n".ljust(handshake.GREETING_BYTES))
