"""Sessions of people, in the database: a row knows whose it is, so that all of a person's can be ended at once.

`SessionStore` is Django's `SESSION_ENGINE`. A session ends after `SESSION_COOKIE_AGE` without a page being opened, and
`MLPLATFORM_SESSION_MAX_S` after the sign-in in any case; when the person signs out, changes the password, is disabled
or deleted, at once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from mlplatform.core import clock
from mlplatform.core.audit.record import origin_now
from mlplatform.core.models import Session
from mlplatform.core.people.users import password_is_removed, password_was_given

SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
ADDRESS = "address"
PASSWORD_GIVEN = "password_given"
SEEN_STEP_S = 300
"""A session that is used is written this often, not with every page."""


class SessionStore(DatabaseStore):
    """Django's own, with an end that does not move and the columns of `Session`."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        data: dict[str, Any] = super().load()
        if time.time() - data.get(SIGNED_IN_AT, time.time()) > settings.MLPLATFORM_SESSION_MAX_S:
            self.delete()
            self._session_key = None
            return {}
        return data

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row: Session = super().create_model_instance(data)  # type: ignore[assignment]
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.address = data.get(ADDRESS)
        if SIGNED_IN_AT in data:
            row.signed_in_at = datetime.fromtimestamp(data[SIGNED_IN_AT], UTC)
        return row


def sessions_watch() -> None:
    """Connects the receivers; called by the application's `ready`."""
    user_logged_in.connect(_signed_in)
    post_save.connect(_user_saved, sender=User)
    post_delete.connect(_user_deleted, sender=User)


def session_list(*, user: User) -> list[Session]:
    """The user's sessions that have not ended, the newest first."""
    alive = Session.objects.filter(user_id=user.pk, expire_date__gt=clock.now())
    return list(alive.order_by("-signed_in_at", "session_key"))


def session_goes_on(request: HttpRequest) -> bool:
    """Whether the session that the request came with has not ended meanwhile: asked while a stream is open."""
    now = clock.now()
    key = request.session.session_key or ""
    alive = Session.objects.filter(session_key=key, expire_date__gt=now)
    too_old = alive.filter(signed_in_at__lt=now - timedelta(seconds=settings.MLPLATFORM_SESSION_MAX_S))
    return alive.exists() and not too_old.exists()


def sessions_end(*, user: User) -> int:
    """Ends all sessions of the user, everywhere and at once; returns how many there were."""
    return Session.objects.filter(user_id=user.pk).delete()[0]


def session_touch(request: HttpRequest) -> None:
    """Notes that a signed-in person opened a page, which keeps the session alive."""
    now = int(time.time())
    if SESSION_KEY in request.session and now - request.session.get(SEEN_AT, 0) >= SEEN_STEP_S:
        request.session[SEEN_AT] = now


def _signed_in(*, request: HttpRequest, user: User, **_: Any) -> None:
    now = int(time.time())
    request.session.update({SIGNED_IN_AT: now, SEEN_AT: now, ADDRESS: origin_now().address})
    request.session[PASSWORD_GIVEN] = password_was_given(user)
    Session.objects.filter(expire_date__lt=clock.now()).delete()


def _user_saved(*, instance: User, **_: Any) -> None:
    """Another password or none, or the end of being active; `_password` is there until the row is saved."""
    is_new = getattr(instance, "_password", None) is not None
    if not instance.is_active or is_new or password_is_removed(instance):
        sessions_end(user=instance)


def _user_deleted(*, instance: User, **_: Any) -> None:
    Session.objects.filter(user_id=instance.pk).delete()
