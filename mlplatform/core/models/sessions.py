"""A browser's session: see `mlplatform.core.people.sessions`."""

from __future__ import annotations

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.translation import gettext_lazy as _


class Session(AbstractBaseSession):
    """Django's own, that knows whose it is: by value, because a session may be nobody's."""

    user_id = models.BigIntegerField(_("user id"), null=True, db_index=True)
    signed_in_at = models.DateTimeField(_("signed in at"), null=True)
    address = models.GenericIPAddressField(_("address"), null=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from mlplatform.core.people.sessions import SessionStore

        return SessionStore
