"""Training jobs: the row is the truth, the Celery message only a hint that there is work."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.datasets import DatasetVersion
from jobs.models.sources import Source
from mlplatform.core.models import LogStream, Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.status import TERMINAL_TRAINING, SecondaryStatus, TrainingJobStatus
from mlplatform.core.text import Text, from_json


class TrainingJob(models.Model):
    """One training job. A worker owns it while it holds the lease; `attempt` fences what an earlier owner writes late.

    `failure` is null or {"kind", "reason", "said", "detail", "row", "column", "exit_code", "signal", "log_tail":
    [lines], "first_line"}, of which `said` is the reason with its template, null where the platform did not word it;
    `progress` is {"fraction", "text", "recent": [[milliseconds since the epoch, fraction] of the last reports]};
    `final_metrics` maps a metric's name to its last value. A script's job has the algorithm `script`, and framework,
    entry point and source; the others have none. The price is the one that held when the job ended.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="training_jobs")
    name = models.CharField(_("name"), max_length=63)
    uid = models.CharField(max_length=26, unique=True)
    algorithm = models.CharField(_("algorithm"), max_length=40)
    framework = models.CharField(_("framework"), max_length=20, blank=True)
    entry_point = models.CharField(_("entry point"), max_length=200, blank=True)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, null=True, blank=True, related_name="training_jobs"
    )
    hyperparameters = NamedValuesField(_("hyperparameters"), default=dict)
    instance_type = models.CharField(_("instance type"), max_length=40)
    instance_count = models.PositiveSmallIntegerField(_("instance count"), default=1)
    queue = models.CharField(_("queue"), max_length=40)
    max_runtime_s = models.PositiveIntegerField(_("maximum run time (s)"), default=86400)
    metric_definitions = models.JSONField(_("metric definitions"), default=list)
    environment = NamedValuesField(_("environment"), default=dict)
    tags = NamedValuesField(_("tags"), default=dict)

    status = models.CharField(
        _("status"),
        max_length=12,
        default=TrainingJobStatus.IN_PROGRESS,
        choices=[(status.value, status.value) for status in TrainingJobStatus],
    )
    secondary_status = models.CharField(
        _("secondary status"),
        max_length=20,
        default=SecondaryStatus.PENDING,
        choices=[(status.value, status.value) for status in SecondaryStatus],
    )
    failure = models.JSONField(_("failure"), null=True, blank=True)
    progress = models.JSONField(default=dict)
    final_metrics = models.JSONField(_("final metrics"), default=dict)

    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    stop_requested_at = models.DateTimeField(_("stop requested at"), null=True, blank=True)

    artifact_uri = models.CharField(_("artifact"), max_length=300, blank=True)
    artifact_sha256 = models.CharField(max_length=64, blank=True)
    artifact_bytes = models.BigIntegerField(null=True, blank=True)
    manifest = models.JSONField(null=True, blank=True)
    output_uri = models.CharField(_("output"), max_length=300, blank=True)
    output_sha256 = models.CharField(max_length=64, blank=True)
    output_bytes = models.BigIntegerField(null=True, blank=True)
    input_bytes = models.BigIntegerField(_("bytes read"), null=True, blank=True)
    log = models.OneToOneField(LogStream, on_delete=models.PROTECT, related_name="training_job")

    cloned_from = models.CharField(max_length=63, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("training started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    billable_s = models.PositiveIntegerField(_("billable time (s)"), null=True, blank=True)
    price_per_hour = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_training_job_per_name")]
        indexes = [
            # Every filter, order and search of the list is answered from this one, without reading the rows.
            models.Index(
                fields=["project", "-created_at", "-id", "name", "status", "algorithm", "instance_type"],
                name="jobs_listed",
            ),
            # And costs and sizes of all from this one, with which of them are trials.
            models.Index(
                fields=[
                    "project",
                    "ended_at",
                    "started_at",
                    "billable_s",
                    "price_per_hour",
                    "currency",
                    "instance_type",
                    "artifact_bytes",
                    "id",
                ],
                name="jobs_billed",
            ),
            models.Index(fields=["status", "queue"]),
        ]
        verbose_name = _("training job")
        verbose_name_plural = _("training jobs")

    def __str__(self) -> str:
        return self.name

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_TRAINING

    @property
    def arn(self) -> str:
        return self.project.arn("training-job", self.name)

    @property
    def failure_reason(self) -> str:
        """As the service words it: the kind, then why."""
        if not self.failure:
            return ""
        return Text("{kind}: {reason}", {"kind": self.failure["kind"], "reason": self.failure_said})

    @property
    def failure_said(self) -> str:
        """Why it failed, with its template where the platform worded it."""
        if not self.failure:
            return ""
        said = self.failure.get("said")
        return from_json(said) if said else str(self.failure["reason"])


class TrainingInput(models.Model):
    """A channel of a job: a dataset version, or objects under a URI."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="inputs")
    channel = models.CharField(_("channel"), max_length=64)
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="training_inputs"
    )
    dataset_reference = models.CharField(max_length=80, blank=True)
    uri = models.CharField(_("URI"), max_length=1024)
    content_type = models.CharField(_("content type"), max_length=80)
    input_mode = models.CharField(
        _("input mode"), max_length=8, choices=[("File", "File"), ("Pipe", "Pipe")], default="File"
    )

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["job", "channel"], name="one_input_per_channel")]

    def __str__(self) -> str:
        return f"{self.channel}: {self.dataset_reference or self.uri}"
