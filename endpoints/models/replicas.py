"""Replicas: one model server process each, as a host observes it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.endpoints import Endpoint, ProductionVariant
from mlplatform.core.models import LogStream
from mlplatform.core.status import ReplicaStatus


class Replica(models.Model):
    """`host` owns the row while its lease lasts; a crashed one is started again with `restarts` + 1.

    `address` is `unix:/path` or `tcp:host:port`, empty until the server answers its ping.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="replicas")
    variant = models.ForeignKey(ProductionVariant, on_delete=models.CASCADE, related_name="replicas")
    uid = models.CharField(max_length=26, unique=True)
    index = models.PositiveSmallIntegerField(_("index"))
    status = models.CharField(
        _("status"),
        max_length=10,
        default=ReplicaStatus.PENDING,
        choices=[(status.value, status.value) for status in ReplicaStatus],
    )
    host = models.CharField(_("host"), max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    pid = models.IntegerField(_("process id"), null=True, blank=True)
    address = models.CharField(_("address"), max_length=200, blank=True)
    restarts = models.PositiveIntegerField(_("restarts"), default=0)
    failure = models.JSONField(_("failure"), null=True, blank=True)
    memory_bytes = models.BigIntegerField(_("memory"), null=True, blank=True)
    log = models.OneToOneField(LogStream, on_delete=models.PROTECT, related_name="replica")
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    ready_at = models.DateTimeField(_("ready at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["status", "host"])]
        verbose_name = _("replica")
        verbose_name_plural = _("replicas")

    def __str__(self) -> str:
        return f"{self.endpoint.name}/{self.variant.name}/{self.index}"
