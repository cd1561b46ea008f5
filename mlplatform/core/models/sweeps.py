"""What the platform does by itself, over and over: when each sweep ran last, what it did, and when it is due again."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SweepState(models.Model):
    """One kind of sweep. `due_at` is also its lease: who runs it moves it on first."""

    name = models.CharField(_("name"), max_length=40, primary_key=True)
    due_at = models.DateTimeField(_("due at"))
    began_at = models.DateTimeField(_("began at"), null=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    n_done = models.BigIntegerField(_("done"), default=0)
    error = models.CharField(_("error"), max_length=300, blank=True)
    detail = models.JSONField(_("details"), default=dict)

    class Meta:
        ordering = ["name"]
        verbose_name = _("sweep")
        verbose_name_plural = _("sweeps")

    def __str__(self) -> str:
        return self.name
