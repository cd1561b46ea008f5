"""Models: an artifact together with what is needed to serve it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models import Source, TrainingJob
from mlplatform.core.models import Project
from mlplatform.core.named_values_field import NamedValuesField


class Model(models.Model):
    """A servable artifact. Its manifest has the algorithm, versions, number of features and label mapping.

    A model with a source is served by that script; one of the algorithm `script` without a source by `code/` in its
    archive.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="models")
    name = models.CharField(_("name"), max_length=63)
    uid = models.CharField(max_length=26, unique=True)
    training_job = models.ForeignKey(
        TrainingJob, on_delete=models.SET_NULL, null=True, blank=True, related_name="models"
    )
    algorithm = models.CharField(_("algorithm"), max_length=40)
    framework = models.CharField(_("framework"), max_length=20, blank=True)
    entry_point = models.CharField(_("entry point"), max_length=200, blank=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, null=True, blank=True, related_name="models")
    artifact_uri = models.CharField(_("artifact"), max_length=300)
    artifact_sha256 = models.CharField(_("digest"), max_length=64)
    artifact_bytes = models.BigIntegerField(_("size"))
    manifest = models.JSONField(default=dict)
    environment = NamedValuesField(_("environment"), default=dict)
    description = models.TextField(_("description"), blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_model_per_name")]
        indexes = [models.Index(fields=["project", "-created_at", "-id"])]
        verbose_name = _("model")
        verbose_name_plural = _("models")

    def __str__(self) -> str:
        return self.name
