"""Objects of the store that are to go: the first phase of every deletion, kept until the store has carried it out."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mlplatform.core import clock


class ObjectTombstone(models.Model):
    """An object nothing refers to any more. Written in the transaction that removes the last row that did.

    `due_at` is when the store is asked next; who carries it out moves it on first, so that two never do it at once.
    """

    uri = models.CharField(_("address"), max_length=1100, unique=True)
    reason = models.CharField(_("reason"), max_length=60)
    created_at = models.DateTimeField(_("created at"), default=clock.now, db_index=True)
    due_at = models.DateTimeField(_("next try"), default=clock.now, db_index=True)
    n_tries = models.PositiveIntegerField(_("tries"), default=0)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("object tombstone")
        verbose_name_plural = _("object tombstones")

    def __str__(self) -> str:
        return self.uri
