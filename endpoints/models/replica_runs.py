"""What ran for how long: one row per life of a model server, kept when replica and endpoint are gone."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.endpoints import Endpoint
from mlplatform.core.models import Project


class ReplicaRun(models.Model):
    """From the wish for a model server to its end: the cold starts of a serverless endpoint, and what endpoints cost.

    `demanded_at` is when the first request waited for it, null where nobody did; `n_waiting` how many waited when it
    was ready. `seen_at` is when its host last saw it alive, so that a run whose host died has an end.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="replica_runs")
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="replica_runs"
    )
    endpoint_name = models.CharField(max_length=63)
    endpoint_uid = models.CharField(max_length=26, db_index=True)
    variant = models.CharField(max_length=63)
    replica_uid = models.CharField(max_length=26, db_index=True)
    instance_type = models.CharField(_("instance type"), max_length=40, blank=True)
    memory_mb = models.PositiveIntegerField(_("memory (MB)"), null=True, blank=True)
    demanded_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(_("started at"))
    ready_at = models.DateTimeField(_("ready at"), null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    n_waiting = models.PositiveIntegerField(default=0)
    end_reason = models.CharField(max_length=40, blank=True)
    price_per_hour = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        indexes = [
            models.Index(fields=["endpoint", "-started_at"]),
            models.Index(fields=["project", "-started_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_name}/{self.variant}"
