"""Asynchronous inference: a request object in, a result or a failure object out."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.endpoints import Endpoint
from mlplatform.core.status import AsyncInvocationStatus


class AsyncInvocation(models.Model):
    """One request to an endpoint whose configuration has `async_inference`. The row is the queue.

    `failure` is null or {"status", "code", "message"}: what the failure object says too.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="async_invocations")
    uid = models.CharField(max_length=26, unique=True)
    inference_id = models.CharField(_("inference id"), max_length=64)
    status = models.CharField(
        _("status"),
        max_length=12,
        default=AsyncInvocationStatus.PENDING,
        choices=[(status.value, status.value) for status in AsyncInvocationStatus],
    )
    input_uri = models.CharField(_("input"), max_length=1024)
    input_bytes = models.BigIntegerField(default=0)
    content_type = models.CharField(max_length=256, blank=True)
    accept = models.CharField(max_length=256, blank=True)
    custom_attributes = models.CharField(max_length=1024, blank=True)
    target_variant = models.CharField(max_length=63, blank=True)
    timeout_s = models.PositiveIntegerField(default=900)
    output_uri = models.CharField(_("output"), max_length=1024)
    output_bytes = models.BigIntegerField(null=True, blank=True)
    failure_uri = models.CharField(_("failure object"), max_length=1024)
    failure = models.JSONField(null=True, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    model_ms = models.FloatField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "inference_id"], name="one_invocation_per_inference_id"
            )
        ]
        indexes = [
            models.Index(fields=["endpoint", "status", "id"]),
            models.Index(fields=["endpoint", "-created_at", "-id"]),
        ]
        verbose_name = _("asynchronous invocation")
        verbose_name_plural = _("asynchronous invocations")

    def __str__(self) -> str:
        return self.inference_id
