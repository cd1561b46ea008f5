"""Who did what, when and from where. Rows are only ever added; retention removes the oldest."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditOutcome(models.TextChoices):
    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")


class AuditEvent(models.Model):
    """One act, named by values and not by foreign keys: it stays when the user, key or project is gone."""

    at = models.DateTimeField(_("at"), db_index=True)
    action = models.CharField(_("action"), max_length=60)
    target = models.CharField(_("target"), max_length=200, blank=True)
    outcome = models.CharField(_("outcome"), max_length=10, choices=AuditOutcome.choices)
    user_id = models.BigIntegerField(_("user id"), null=True)
    username = models.CharField(_("user"), max_length=150, blank=True)
    key_id = models.CharField(_("access key"), max_length=20, blank=True)
    project_id = models.BigIntegerField(_("project id"), null=True)
    project_name = models.CharField(_("project"), max_length=63, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    face = models.CharField(_("by way of"), max_length=10)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    detail = models.JSONField(_("details"), default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project_id", "-id"])]
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")

    def __str__(self) -> str:
        return f"{self.username or '-'} {self.action} {self.target}".rstrip()
