"""Batch transform: a dataset or objects through a model, without an endpoint."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.models import Model
from jobs.models import DatasetVersion
from mlplatform.core.models import LogStream, Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.status import TERMINAL_TRANSFORM, TransformJobStatus


class TransformJob(models.Model):
    """A worker owns it while it holds the lease; `attempt` fences what an earlier owner writes late.

    `failure` is as a training job's; `progress` is {"n_rows", "n_done", "fraction"}. The result has a line per record
    of the input, in its order.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="transform_jobs")
    name = models.CharField(_("name"), max_length=63)
    uid = models.CharField(max_length=26, unique=True)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="transform_jobs")
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="transform_jobs"
    )
    dataset_reference = models.CharField(max_length=80, blank=True)
    uri = models.CharField(_("input"), max_length=1024)
    content_type = models.CharField(_("content type"), max_length=80, default="text/csv")
    split_type = models.CharField(max_length=8, choices=[("Line", "Line"), ("None", "None")], default="Line")
    accept = models.CharField(max_length=80, blank=True)
    batch_strategy = models.CharField(
        max_length=12,
        choices=[("MultiRecord", "MultiRecord"), ("SingleRecord", "SingleRecord")],
        default="MultiRecord",
    )
    max_payload_mb = models.PositiveSmallIntegerField(default=6)
    max_concurrent = models.PositiveSmallIntegerField(default=1)
    input_filter = models.CharField(max_length=63, default="$")
    output_filter = models.CharField(max_length=63, default="$")
    join = models.CharField(max_length=8, choices=[("None", "None"), ("Input", "Input")], default="None")
    instance_type = models.CharField(_("instance type"), max_length=40)
    instance_count = models.PositiveSmallIntegerField(_("instance count"), default=1)
    queue = models.CharField(_("queue"), max_length=40)
    max_runtime_s = models.PositiveIntegerField(_("maximum run time (s)"), default=86400)
    environment = NamedValuesField(_("environment"), default=dict, blank=True)
    tags = NamedValuesField(_("tags"), default=dict, blank=True)

    status = models.CharField(
        _("status"),
        max_length=12,
        default=TransformJobStatus.IN_PROGRESS,
        choices=[(status.value, status.value) for status in TransformJobStatus],
    )
    failure = models.JSONField(_("failure"), null=True, blank=True)
    progress = models.JSONField(default=dict)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    result_uri = models.CharField(_("result"), max_length=300, blank=True)
    result_sha256 = models.CharField(max_length=64, blank=True)
    result_bytes = models.BigIntegerField(null=True, blank=True)
    log = models.OneToOneField(LogStream, on_delete=models.PROTECT, related_name="transform_job")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    billable_s = models.PositiveIntegerField(_("billable time (s)"), null=True, blank=True)
    price_per_hour = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_transform_job_per_name")]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"]),
            models.Index(fields=["status", "queue"]),
            models.Index(fields=["project", "ended_at"], name="transforms_ended"),
        ]
        verbose_name = _("transform job")
        verbose_name_plural = _("transform jobs")

    def __str__(self) -> str:
        return self.name

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_TRANSFORM

    @property
    def arn(self) -> str:
        return self.project.arn("transform-job", self.name)
