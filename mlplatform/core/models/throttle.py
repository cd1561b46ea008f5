"""Failed sign-ins, counted per place they come from; and passwords that somebody else knows."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class SignInThrottle(models.Model):
    """Failed sign-ins of one address, or of one address for one user name.

    `subject` is a digest, so that what somebody typed into the wrong field is not kept; `username` is filled in for
    names of users only.
    """

    subject = models.CharField(max_length=64, unique=True)
    address = models.CharField(_("address"), max_length=50, blank=True)
    username = models.CharField(_("user"), max_length=150, blank=True)
    n_failures = models.PositiveIntegerField(_("failures"), default=0)
    last_at = models.DateTimeField(_("last"))
    blocked_until = models.DateTimeField(_("blocked until"), null=True, blank=True)
    forget_at = models.DateTimeField(_("forgotten at"), db_index=True)

    class Meta:
        ordering = ["-last_at"]
        verbose_name = _("throttled sign-in")
        verbose_name_plural = _("throttled sign-ins")

    def __str__(self) -> str:
        return f"{self.address} {self.username}".strip()


class GivenPassword(models.Model):
    """The password of this user was set by somebody else, who knows it, and has not been changed since."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="given_password"
    )
    given_at = models.DateTimeField(_("given at"))

    class Meta:
        verbose_name = _("given password")
        verbose_name_plural = _("given passwords")

    def __str__(self) -> str:
        return str(self.user)
