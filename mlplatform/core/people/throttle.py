"""Slows down who guesses passwords, without locking anybody out for good.

Two counts: of an address for a user name (a delay that doubles with every failure, from 5 s to 15 min) and of an
address for all names (for who tries many). Others, at other addresses, never notice. The counts are rows, so that all
web processes share them and no broker is needed. An attempt is counted before the password is looked at, and taken back
when it was right: a hundred attempts at once are a hundred attempts. Called by `mlplatform.core.people.sign_in`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet

from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Throttled
from mlplatform.core.models import SignInThrottle
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class Policy:
    """`n_free` failures cost nothing; the next waits `first_s`, then twice as long each, up to `most_s`."""

    n_free: int
    first_s: int
    most_s: int
    forget: timedelta

    def blocked_until(self, n_failures: int, now: datetime) -> datetime | None:
        if n_failures < self.n_free:
            return None
        doublings = min(n_failures - self.n_free, 30)
        return now + timedelta(seconds=min(self.first_s * 2**doublings, self.most_s))


PERSON = Policy(n_free=5, first_s=5, most_s=900, forget=timedelta(hours=12))
"""One address, one user name."""
ADDRESS = Policy(n_free=50, first_s=60, most_s=900, forget=timedelta(hours=1))
"""One address, all names: wide enough for an office behind one address."""


class SignInThrottled(Throttled):
    """Too many failed sign-ins from here. `retry_after_s` says how long to wait."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            _(
                "Too many failed attempts to sign in. Wait {wait} and try again.",
                wait=_("{n} s", n=retry_after_s)
                if retry_after_s < 100
                else _("{n} min", n=math.ceil(retry_after_s / 60)),
            )
        )
        self.retry_after_s = retry_after_s


def attempt_begin(*, address: str | None, username: str) -> None:
    """Counts an attempt that is about to be made.

    Raises:
        SignInThrottled: it may not be made now; it is not counted then.
    """
    now = clock.now()
    network = network_of(address)
    known = User.objects.filter(username=username).exists()
    with transaction.atomic():
        _forget(now)
        rows = [
            _row(subject, network, username if known and policy is PERSON else "", now + policy.forget, now)
            for subject, policy in _subjects(network, username)
        ]
        waits = [row.blocked_until for row in rows if row.blocked_until and row.blocked_until > now]
        if waits:
            raise SignInThrottled(math.ceil((max(waits) - now).total_seconds()))
        for row, (_subject, policy) in zip(rows, _subjects(network, username), strict=True):
            row.n_failures += 1
            row.last_at, row.forget_at = now, now + policy.forget
            row.blocked_until = policy.blocked_until(row.n_failures, now)
            row.save(update_fields=["n_failures", "last_at", "forget_at", "blocked_until"])


def attempt_succeeded(*, address: str | None, username: str) -> None:
    """Takes the attempt back: the name is forgotten at this address, the address has one failure less."""
    (person, _person), (place, _place) = _subjects(network_of(address), username)
    with transaction.atomic():
        SignInThrottle.objects.filter(subject=person).delete()
        counted = SignInThrottle.objects.filter(subject=place, n_failures__gt=0)
        counted.update(n_failures=F("n_failures") - 1)
        # The block that this very attempt began, if it was the one too many.
        SignInThrottle.objects.filter(subject=place, n_failures__lt=ADDRESS.n_free).update(blocked_until=None)


def throttle_list() -> list[SignInThrottle]:
    """Who is kept waiting now."""
    return list(SignInThrottle.objects.filter(blocked_until__gt=clock.now()))


def throttle_unlock(
    *, username: str = "", address: str = "", chosen: QuerySet[SignInThrottle] | None = None
) -> int:
    """Forgets the failures for a user, of an address, or those chosen; returns how many counts there were.

    For operators: the admin console and `manage.py sign_in unlock`.
    """
    with transaction.atomic():
        found = list(chosen if chosen is not None else _counted(username, address))
        SignInThrottle.objects.filter(pk__in=[row.pk for row in found]).delete()
        for target in sorted({str(row) for row in found}):
            audit_record(action="session.unlock", target=target)
    return len(found)


def _counted(username: str, address: str) -> QuerySet[SignInThrottle]:
    if username:
        return SignInThrottle.objects.filter(username=username)
    return SignInThrottle.objects.filter(address=network_of(address))


def _subjects(network: str, username: str) -> tuple[tuple[str, Policy], tuple[str, Policy]]:
    return (_digest(f"person\0{network}\0{username}"), PERSON), (_digest(f"address\0{network}"), ADDRESS)


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


def network_of(address: str | None) -> str:
    """What attempts are counted by: the address; of IPv6 its /64, which is what one subscriber has."""
    if not address:
        return ""
    found = ipaddress.ip_address(address)
    return address if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def _row(subject: str, network: str, username: str, forget_at: datetime, now: datetime) -> SignInThrottle:
    SignInThrottle.objects.get_or_create(
        subject=subject,
        defaults={"address": network, "username": username, "last_at": now, "forget_at": forget_at},
    )
    return SignInThrottle.objects.select_for_update().get(subject=subject)


def _forget(now: datetime) -> None:
    SignInThrottle.objects.filter(forget_at__lt=now).delete()
