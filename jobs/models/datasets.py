"""Datasets and their immutable versions. The bytes lie in the object store; a row has the summary."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mlplatform.core.models import Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.text_field import TextListField


class Dataset(models.Model):
    """A named table. `latest` is the newest version; `deleted_at` hides it while jobs still refer to it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(_("name"), max_length=63)
    description = models.TextField(_("description"), blank=True)
    tags = NamedValuesField(_("tags"), default=dict, blank=True)
    latest = models.ForeignKey("DatasetVersion", on_delete=models.SET_NULL, null=True, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"))

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_dataset_per_name")]
        indexes = [models.Index(fields=["project", "-created_at", "-id"])]
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")

    def __str__(self) -> str:
        return self.name


class DatasetVersion(models.Model):
    """What was uploaded, never changed afterwards.

    `schema` is a `TableSchema` as JSON, `columns` the per-column summary of `profile.json` without histograms of the
    whole (name, type, missing, min, max, mean, std, distinct), `source` where it came from.
    """

    class Source(models.TextChoices):
        UPLOAD = "upload", _("Upload")
        URI = "uri", _("URI")
        SAMPLE = "sample", _("Sample")
        SPLIT = "split", _("Split")
        RELABEL = "relabel", _("Other label")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    uid = models.CharField(max_length=26, unique=True)
    uri = models.CharField(_("URI"), max_length=300)
    profile_uri = models.CharField(max_length=300)
    filename = models.CharField(_("file name"), max_length=255)
    content_type = models.CharField(_("content type"), max_length=80)
    size_bytes = models.BigIntegerField(_("size"))
    sha256 = models.CharField(_("digest"), max_length=64)
    n_rows = models.BigIntegerField(_("rows"))
    n_columns = models.IntegerField(_("columns"))
    schema = models.JSONField()
    columns = models.JSONField()
    warnings = TextListField(default=list)
    source = models.CharField(_("source"), max_length=10, choices=Source.choices)
    source_detail = models.CharField(max_length=300, blank=True)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="children")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="one_version_per_number")]
        verbose_name = _("dataset version")
        verbose_name_plural = _("dataset versions")

    def __str__(self) -> str:
        return f"{self.dataset.name}@{self.number}"

    @property
    def label_name(self) -> str | None:
        label = self.schema.get("label")
        return None if label is None else str(self.schema["columns"][label])
