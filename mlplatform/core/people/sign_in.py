"""Whether a user name and a password belong together: Django's check behind the throttle, every attempt audited.

The one authentication backend, so that the sign-in page, the admin console's and whatever comes are throttled alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from mlplatform.core.audit.record import audit_record, audit_refuse, origin_now
from mlplatform.core.models import AuditOutcome
from mlplatform.core.people.throttle import SignInThrottled, attempt_begin, attempt_succeeded

SIGN_IN = "session.create"
T = TypeVar("T")


class ThrottledBackend(ModelBackend):
    """Takes as long for a name that does not exist as for a wrong password."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Raises SignInThrottled where there were too many failures."""
        if username is None or password is None:
            return None
        check = super().authenticate

        def user() -> User | None:
            found: User | None = check(request, username=username, password=password, **kwargs)
            return found

        return password_attempt(username=username, check=user, action=SIGN_IN)


def password_attempt(*, username: str, check: Callable[[], T | None], action: str) -> T | None:
    """What `check` of a password returns, None (or False) for a wrong one; throttled and audited.

    Args:
        action: What a failure is audited as; success is what the caller does with it.

    Raises:
        SignInThrottled.
    """
    address = origin_now().address
    known = User.objects.filter(username=username).values_list("username", flat=True).first() or ""
    try:
        attempt_begin(address=address, username=username)
    except SignInThrottled:
        audit_refuse(action="session.throttle", target=known)
        raise
    found = check()
    if found:
        attempt_succeeded(address=address, username=username)
    else:
        # A name of nobody is not kept: it may be a password, typed into the wrong field.
        audit_record(action=action, target=known, outcome=AuditOutcome.REFUSED)
    return found
