"""A whole dataset sent through an endpoint: predictions beside labels, row by row."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.endpoints import Endpoint
from jobs.models import DatasetVersion
from mlplatform.core.status import TableRunStatus
from mlplatform.core.text_field import MessageField


class TableRun(models.Model):
    """`summary` has accuracy, classes and confusion matrix (or RMSE, MAE); `result_uri` the rows as JSON Lines."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="table_runs")
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="table_runs")
    uid = models.CharField(max_length=26, unique=True)
    status = models.CharField(
        max_length=12,
        default=TableRunStatus.IN_PROGRESS,
        choices=[(status.value, status.value) for status in TableRunStatus],
    )
    variant = models.CharField(max_length=63, blank=True)
    n_rows = models.BigIntegerField(default=0)
    n_done = models.BigIntegerField(default=0)
    failure = MessageField(blank=True)
    summary = models.JSONField(null=True)
    result_uri = models.CharField(max_length=300, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
