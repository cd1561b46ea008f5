"""Who sends one wrong access key after another is answered without asking the database.

A secret has 240 bits and cannot be guessed; this is against the load and the noise of trying. Counted per address
(IPv6: per /64) in the memory of each web process: a row per wrong key would cost more than the look-up it saves.
Keys that were right shortly before are still taken from such an address, because colleagues may share it. The gateway
needs none of this: it compares digests in memory, and looks for new keys four times a second at most.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict

from mlplatform.core.audit.record import audit_refuse
from mlplatform.core.errors import NotAuthenticated, Throttled
from mlplatform.core.people.access import Actor, actor_for_key
from mlplatform.core.people.throttle import network_of
from mlplatform.core.text import text as _

WRONG_MAX = 60
WINDOW_S = 60.0
_KEPT_MAX = 10_000


class KeysThrottled(Throttled):
    """Too many wrong keys from this address. `retry_after_s` says when they are looked at again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            _("Too many wrong access keys from this address; try again in {n} s", n=retry_after_s)
        )
        self.retry_after_s = retry_after_s


class KeyAttempts:
    """Counts of wrong keys by address, each for a minute from the first; and digests of keys that were right."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._right: OrderedDict[bytes, None] = OrderedDict()

    def wait_s(self, address: str, digest: bytes) -> float:
        """How long this key has to wait; 0 where it may be looked at now."""
        with self._lock:
            began_at, n_wrong = self._wrong.get(address, (0.0, 0))
            left_s = began_at + WINDOW_S - time.monotonic()
            return left_s if left_s > 0 and n_wrong >= WRONG_MAX and digest not in self._right else 0.0

    def wrong(self, address: str, digest: bytes) -> int:
        """Counts one; returns how many there were in this window."""
        now = time.monotonic()
        with self._lock:
            self._right.pop(digest, None)
            began_at, n_wrong = self._wrong.pop(address, (now, 0))
            if now - began_at >= WINDOW_S:
                began_at, n_wrong = now, 0
            self._wrong[address] = began_at, n_wrong + 1
            _shorten(self._wrong)
            return n_wrong + 1

    def right(self, digest: bytes) -> None:
        with self._lock:
            self._right[digest] = None
            self._right.move_to_end(digest)
            _shorten(self._right)

    def forget(self) -> None:
        with self._lock:
            self._wrong.clear()
            self._right.clear()


attempts = KeyAttempts()


def actor_for_token(*, token: str, address: str | None) -> Actor:
    """The actor of a bearer token from an address. Raises NotAuthenticated, KeysThrottled."""
    place = network_of(address)
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    wait_s = attempts.wait_s(place, digest)
    if wait_s:
        raise KeysThrottled(math.ceil(wait_s))
    try:
        actor = actor_for_key(token=token)
    except NotAuthenticated:
        if attempts.wrong(place, digest) == WRONG_MAX:
            audit_refuse(action="access_key.throttle")
        raise
    attempts.right(digest)
    return actor


def _shorten(kept: OrderedDict[str, tuple[float, int]] | OrderedDict[bytes, None]) -> None:
    while len(kept) > _KEPT_MAX:
        kept.popitem(last=False)
