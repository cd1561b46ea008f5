"""Projects, their members and access keys. A Project is to us what an AWS account is to the service."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mlplatform.core import names


class Role(models.TextChoices):
    """What a member may do: each role includes those above it."""

    VIEWER = "viewer", _("Viewer")
    EDITOR = "editor", _("Editor")
    ADMIN = "admin", _("Administrator")


class Project(models.Model):
    name = models.CharField(_("name"), max_length=63, unique=True)
    display_name = models.CharField(_("display name"), max_length=200, blank=True)
    account_id = models.CharField(_("account id"), max_length=12, unique=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.name

    @property
    def bucket(self) -> str:
        return names.bucket_name(self.account_id)

    def arn(self, kind: str, name: str) -> str:
        return names.arn(account_id=self.account_id, kind=kind, name=name)


class Membership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_user")]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) in {self.project}"


class AccessKey(models.Model):
    """An id and a secret of one user in one project. The secret is shown once.

    `secret_sha256` answers bearer requests without decrypting; `secret_encrypted` is kept because AWS Signature V4
    needs the secret itself.
    """

    key_id = models.CharField(_("key id"), max_length=20, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    secret_encrypted = models.BinaryField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_keys")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="access_keys")
    description = models.CharField(_("description"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("access key")
        verbose_name_plural = _("access keys")

    def __str__(self) -> str:
        return self.key_id
