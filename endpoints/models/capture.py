"""Data capture of endpoints, and the files that it has stored."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.capture.rule import CaptureRule
from endpoints.models.endpoints import Endpoint
from mlplatform.core.models import Project
from mlplatform.core.text import from_json


class DataCapture(models.Model):
    """What is captured of an endpoint's requests; it holds for all its configurations, and takes effect at once.

    `problem` is null or {"said": message with its template, "is_paused": whether nothing is captured meanwhile}, as the
    gateway tells it; `n_dropped` counts records that were drawn and lost.
    """

    endpoint = models.OneToOneField(Endpoint, on_delete=models.CASCADE, related_name="data_capture")
    is_on = models.BooleanField(_("on"), default=False)
    sampling_percent = models.PositiveSmallIntegerField(_("sampling (%)"), default=100)
    captures_input = models.BooleanField(_("requests"), default=True)
    captures_output = models.BooleanField(_("answers"), default=True)
    csv_content_types = models.JSONField(_("content types of CSV"), default=list)
    json_content_types = models.JSONField(_("content types of JSON"), default=list)
    destination = models.CharField(_("destination"), max_length=800)
    problem = models.JSONField(_("problem"), null=True, blank=True)
    n_dropped = models.PositiveBigIntegerField(_("not captured"), default=0)
    dropped_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(_("changed at"))

    class Meta:
        verbose_name = _("data capture")
        verbose_name_plural = _("data captures")

    def __str__(self) -> str:
        return self.endpoint.name

    @property
    def rule(self) -> CaptureRule:
        """What is captured while it is on."""
        return CaptureRule(
            destination=self.destination,
            sampling_percent=self.sampling_percent,
            captures_input=self.captures_input,
            captures_output=self.captures_output,
            csv_content_types=tuple(self.csv_content_types),
            json_content_types=tuple(self.json_content_types),
        )

    @property
    def problem_words(self) -> str:
        """With its template; empty while all is well."""
        return from_json(self.problem["said"]) if self.is_on and self.problem else ""

    @property
    def status(self) -> str:
        """In the managed service's words: Stopped also while it is on and nothing can be captured."""
        is_paused = bool(self.problem and self.problem.get("is_paused"))
        return "Started" if self.is_on and not is_paused else "Stopped"


class CapturedFile(models.Model):
    """An object with the captured requests of one variant in a part of an hour (UTC).

    It outlives its endpoint, as the object does; `endpoint_name` then says whose it was.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="captured_files"
    )
    endpoint_name = models.CharField(_("endpoint"), max_length=63)
    variant = models.CharField(_("variant"), max_length=63)
    uid = models.CharField(max_length=36, unique=True)
    hour = models.DateTimeField(_("hour"))
    uri = models.CharField(_("address"), max_length=1024)
    n_records = models.PositiveIntegerField(_("records"))
    size_bytes = models.PositiveBigIntegerField(_("size"))
    created_at = models.DateTimeField(_("stored at"))

    class Meta:
        ordering = ["-hour", "-pk"]
        indexes = [
            models.Index(fields=["endpoint", "-hour", "-id"]),
            models.Index(fields=["hour"]),
        ]
        verbose_name = _("captured file")
        verbose_name_plural = _("captured files")

    def __str__(self) -> str:
        return self.uri
