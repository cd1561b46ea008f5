"""The price sheet: what an hour of each instance type costs here."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class PriceSheet(models.Model):
    """One edition of the sheet; the newest holds, the others are its history.

    `prices` maps an instance type to the price of an hour, and `serverless` to that of a gigabyte of memory for a
    second, as text so that no digit is lost. What it does not name has the price that the platform ships
    (`jobs.instance_types`), in US dollars.
    """

    currency = models.CharField(_("currency"), max_length=3, default="USD")
    prices = models.JSONField(_("prices"), default=dict)
    note = models.CharField(_("note"), max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("price sheet")
        verbose_name_plural = _("price sheets")

    def __str__(self) -> str:
        return f"{self.currency} {self.created_at:%Y-%m-%d %H:%M}"
