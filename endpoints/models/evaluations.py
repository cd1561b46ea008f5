"""Evaluations: how good and how fast an endpoint answers for a dataset, measured through its real HTTP path."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.endpoints import Endpoint
from endpoints.models.models import Model
from jobs.models import DatasetVersion
from mlplatform.core.models import Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.status import TERMINAL_EVALUATION, EvaluationStatus
from mlplatform.core.text_field import MessageField


class Evaluation(models.Model):
    """One measurement of one endpoint. It outlives the endpoint, so it keeps the names and facts of what it measured.

    `facts`, `progress`, `summary` and `result` are described in docs/formats.md; `result` is large and left out of
    lists. `result_uri` has the truth and the prediction for every k of every row.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="evaluations")
    name = models.CharField(_("name"), max_length=63)
    uid = models.CharField(max_length=26, unique=True)

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluations"
    )
    endpoint_name = models.CharField(_("endpoint"), max_length=63)
    variant = models.CharField(_("variant"), max_length=63, blank=True)
    model = models.ForeignKey(
        Model, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluations"
    )
    model_name = models.CharField(_("model"), max_length=63, blank=True)
    training_job_name = models.CharField(_("training job"), max_length=63, blank=True)
    instance_type = models.CharField(_("instance type"), max_length=40, blank=True)
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluations"
    )
    dataset_reference = models.CharField(_("dataset"), max_length=80)
    facts = models.JSONField(default=dict)

    k_max = models.PositiveIntegerField(null=True, blank=True)
    batches = models.PositiveIntegerField(default=100)
    single_requests = models.PositiveIntegerField(default=2000)
    tags = NamedValuesField(_("tags"), default=dict, blank=True)

    status = models.CharField(
        _("status"),
        max_length=12,
        default=EvaluationStatus.IN_PROGRESS,
        choices=[(status.value, status.value) for status in EvaluationStatus],
    )
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict)
    failure = MessageField(blank=True)
    summary = models.JSONField(null=True)
    result = models.JSONField(null=True)
    result_uri = models.CharField(max_length=300, blank=True)

    attempt = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_evaluation_per_name")]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"]),
            models.Index(fields=["status"]),
        ]
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")

    def __str__(self) -> str:
        return self.name

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_EVALUATION
