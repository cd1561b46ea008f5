"""Long-running processes of ours that report a heartbeat: workers, hosts, gateway, scheduler."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class NodeKind(models.TextChoices):
    WORKER = "worker", _("Worker")
    HOST = "host", _("Host")
    GATEWAY = "gateway", _("Gateway")
    SCHEDULER = "scheduler", _("Scheduler")


class Node(models.Model):
    """One process. It counts as alive while `seen_at` is younger than 15 seconds."""

    kind = models.CharField(_("kind"), max_length=10, choices=NodeKind.choices)
    name = models.CharField(_("name"), max_length=200)
    queues = models.JSONField(_("queues"), default=list)
    hostname = models.CharField(_("host name"), max_length=200)
    pid = models.IntegerField(_("process id"))
    version = models.CharField(_("version"), max_length=40)
    concurrency = models.PositiveIntegerField(_("concurrency"), default=1)
    info = models.JSONField(_("details"), default=dict)
    started_at = models.DateTimeField(_("started at"))
    seen_at = models.DateTimeField(_("last seen at"), db_index=True)

    class Meta:
        ordering = ["kind", "name"]
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="one_node_per_kind_and_name")]
        verbose_name = _("node")
        verbose_name_plural = _("nodes")

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
