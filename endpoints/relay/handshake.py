"""How both ends of a relay's connection prove that they belong to one platform. Pure: bytes in, bytes out.

The listener sends a nonce; who calls answers with a nonce of its own, the name of what it wants, and an HMAC over all
of it; the listener answers with one word and an HMAC of its own. Both cover the listener's certificate, so that
whoever stands between the two can neither read nor pass on what is said. Used by `listener` and `dial`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

GREETING: Final = b"mlplatform relay 1\n"
NONCE_BYTES: Final = 32
MAC_BYTES: Final = 32
NAME_BYTES_MAX: Final = 128
GREETING_BYTES: Final = len(GREETING) + NONCE_BYTES
ANSWER_BYTES: Final = 1 + MAC_BYTES
_HEAD_BYTES: Final = NONCE_BYTES + MAC_BYTES + 1
_LABEL: Final = b"relays between machines of one platform"


class Word(IntEnum):
    """What the listener answers to somebody who has proved himself."""

    CONNECTED = 0
    NOBODY = 1
    """What was asked for is not here, or nobody listens there."""
    BUSY = 2


@dataclass(frozen=True)
class Asked:
    """What a caller wants. `nonce` is the caller's own."""

    name: str
    nonce: bytes


def relay_key(secret_key: str) -> bytes:
    """The key of relays, made of the platform's secret key; 32 bytes, of no use for anything else."""
    return hmac.new(secret_key.encode(), _LABEL, hashlib.sha256).digest()


def nonce_new() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)


def greeting(nonce: bytes) -> bytes:
    """What the listener says first."""
    return GREETING + nonce


def greeting_read(data: bytes) -> bytes:
    """The listener's nonce. Raises ValueError for anything but a relay's greeting."""
    if len(data) != GREETING_BYTES or not data.startswith(GREETING):
        raise ValueError("this is no relay of this version")
    return data[len(GREETING) :]


def request(*, key: bytes, binding: bytes, listener_nonce: bytes, asked: Asked) -> bytes:
    """What the caller answers: nonce, HMAC, length of the name, name.

    Args:
        binding: Digest of the listener's certificate, as the caller has seen it.
    """
    name = asked.name.encode("ascii")
    if not 0 < len(name) <= NAME_BYTES_MAX:
        raise ValueError(f"name {asked.name!r}: 1 to {NAME_BYTES_MAX} characters")
    mac = _mac(key, b"caller", binding, listener_nonce, asked.nonce, name)
    return asked.nonce + mac + bytes([len(name)]) + name


def request_bytes(data: bytes) -> int | None:
    """How long the request is whose beginning this is; None while that cannot be told yet."""
    return None if len(data) < _HEAD_BYTES else _HEAD_BYTES + data[_HEAD_BYTES - 1]


def request_read(data: bytes, *, key: bytes, binding: bytes, listener_nonce: bytes) -> Asked | None:
    """What a whole request asks for; None where it was not made with our key for this very connection."""
    nonce, mac, name = data[:NONCE_BYTES], data[NONCE_BYTES : NONCE_BYTES + MAC_BYTES], data[_HEAD_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, b"caller", binding, listener_nonce, nonce, name)):
        return None
    try:
        return Asked(name.decode("ascii"), nonce)
    except UnicodeDecodeError:
        return None


def answer(word: Word, *, key: bytes, binding: bytes, listener_nonce: bytes, asked: Asked) -> bytes:
    return bytes([word]) + _answer_mac(word, key, binding, listener_nonce, asked)


def answer_read(
    data: bytes, *, key: bytes, binding: bytes, listener_nonce: bytes, asked: Asked
) -> Word | None:
    """What the listener answered; None where it does not have our key."""
    expected = _answer_mac(data[0], key, binding, listener_nonce, asked)
    if not hmac.compare_digest(data[1:], expected) or data[0] not in list(Word):
        return None
    return Word(data[0])


def _answer_mac(word: int, key: bytes, binding: bytes, listener_nonce: bytes, asked: Asked) -> bytes:
    name = asked.name.encode("ascii")
    return _mac(key, b"listener", binding, listener_nonce, asked.nonce, name, bytes([word]))


def _mac(key: bytes, *parts: bytes) -> bytes:
    """Over the parts with their lengths, so that no two lists of parts are the same bytes."""
    if not key:
        raise ValueError("relays need a key")
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()
