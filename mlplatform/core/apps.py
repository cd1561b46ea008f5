"""The floor as a Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save


class CoreConfig(AppConfig):
    name = "mlplatform.core"

    def ready(self) -> None:
        # The gateway knows users by its table of keys, which it reads again when the revision changes. They are
        # changed and deleted in Django's own admin, not by a service of ours.
        post_save.connect(_user_saved, sender="auth.User")
        post_delete.connect(_user_deleted, sender="auth.User")


def _user_saved(*, created: bool, update_fields: frozenset[str] | None, **_: Any) -> None:
    """A new user has no keys yet, and a login changes nothing but its time."""
    if not created and update_fields != frozenset({"last_login"}):
        _revision_bump()


def _user_deleted(**_: Any) -> None:
    _revision_bump()


def _revision_bump() -> None:
    from mlplatform.core.revisions import revision_bump

    revision_bump()
