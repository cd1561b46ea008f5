"""Source code of scripts: one archive per distinct content and project, shared by all that run it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mlplatform.core.models import Project


class Source(models.Model):
    """A `sourcedir.tar.gz`, never changed: the script's folder at the root of the archive.

    `files` is [{"path", "size_bytes"}] in the order of the paths. `sha256` is of the contents (paths and bytes of the
    files, not of the archive), so that the same folder packed twice is one row.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="sources")
    uid = models.CharField(max_length=26, unique=True)
    uri = models.CharField(_("archive"), max_length=300)
    sha256 = models.CharField(_("digest"), max_length=64)
    archive_sha256 = models.CharField(max_length=64)
    archive_bytes = models.BigIntegerField(_("size"))
    files = models.JSONField(_("files"), default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "sha256"], name="one_source_per_content")]
        verbose_name = _("source code")
        verbose_name_plural = _("source code")

    def __str__(self) -> str:
        return self.uid
