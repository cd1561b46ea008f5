"""What happens to users, who are changed by Django's own code (admin console, commands) and not by services of ours.

Receivers of signals, connected by the application's `ready`: the gateway's table of keys is read again, and the audit
log has who was made, changed, disabled, made superuser, given a password or deleted, and by whom. Passwords that
somebody else set are remembered until their owner changes them.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import is_password_usable
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_delete, post_save, pre_save
from django.http import HttpRequest

from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record, origin_now
from mlplatform.core.models import GivenPassword
from mlplatform.core.people.sign_in import SIGN_IN
from mlplatform.core.revisions import revision_bump

_WATCHED = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser")
_ONLY_LOGIN = frozenset({"last_login"})
_CHANGES = "_changes_to_audit"
_REMOVED = "_password_was_removed"


def users_watch() -> None:
    pre_save.connect(_note_changes, sender=User)
    post_save.connect(_user_saved, sender=User)
    post_delete.connect(_user_deleted, sender=User)
    user_logged_in.connect(_signed_in)
    user_logged_out.connect(_signed_out)


def password_was_given(user: User) -> bool:
    """Whether somebody else set the user's password, and so knows it."""
    return GivenPassword.objects.filter(user=user).exists()


def password_is_removed(user: User) -> bool:
    """Whether what is being saved takes the password away, so that nobody can sign in with one."""
    return bool(getattr(user, _REMOVED, False))


def _note_changes(*, instance: User, raw: bool, update_fields: frozenset[str] | None, **_: Any) -> None:
    """What differs from the row, found before it is overwritten."""
    changes: dict[str, Any] = {}
    removed = False
    if not raw and instance.pk and update_fields != _ONLY_LOGIN:
        before = User.objects.filter(pk=instance.pk).values(*_WATCHED, "password").first() or {}
        removed = is_password_usable(before.pop("password", "!")) and not instance.has_usable_password()
        saved = [name for name in before if update_fields is None or name in update_fields]
        changes = {
            name: [before[name], getattr(instance, name)]
            for name in saved
            if before[name] != getattr(instance, name)
        }
    setattr(instance, _CHANGES, changes)
    setattr(instance, _REMOVED, removed)


def _user_saved(
    *, instance: User, created: bool, raw: bool, update_fields: frozenset[str] | None, **_: Any
) -> None:
    if raw or update_fields == _ONLY_LOGIN:
        return
    if created:  # has no keys yet
        audit_record(action="user.create", target=instance.username, detail=_rights(instance))
        if instance.has_usable_password():
            GivenPassword.objects.create(user=instance, given_at=clock.now())
        return
    revision_bump()
    _audit_changes(instance)
    # `set_password` leaves the plain text here until the row is saved; an upgrade of the hash does not.
    if getattr(instance, "_password", None) is not None:
        _password_changed(instance)
    if password_is_removed(instance):
        audit_record(action="password.remove", target=instance.username)


def _audit_changes(user: User) -> None:
    changes: dict[str, Any] = getattr(user, _CHANGES, {})
    if "is_superuser" in changes:
        verb = "grant_superuser" if user.is_superuser else "revoke_superuser"
        audit_record(action=f"user.{verb}", target=user.username)
    if "is_active" in changes:
        audit_record(action="user.enable" if user.is_active else "user.disable", target=user.username)
    other = {name: change for name, change in changes.items() if name not in {"is_superuser", "is_active"}}
    if other:
        audit_record(action="user.update", target=user.username, detail=other)


def _password_changed(user: User) -> None:
    by = origin_now().user()
    if by is not None and by.pk == user.pk:
        GivenPassword.objects.filter(user=user).delete()
    else:
        GivenPassword.objects.update_or_create(user=user, defaults={"given_at": clock.now()})
    audit_record(action="password.change", target=user.username)


def _rights(user: User) -> dict[str, Any]:
    return {"is_staff": user.is_staff, "is_superuser": user.is_superuser}


def _user_deleted(*, instance: User, **_: Any) -> None:
    revision_bump()
    audit_record(action="user.delete", target=instance.username)


def _signed_in(*, request: HttpRequest, user: User, **_: Any) -> None:
    audit_record(user=user, action=SIGN_IN)


def _signed_out(*, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        audit_record(user=user, action="session.delete")
