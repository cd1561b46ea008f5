"""Answers kept for `Idempotency-Key`, so that a repeated request is answered and not carried out again."""

from __future__ import annotations

from django.db import models

from mlplatform.core.models.access import Project


class IdempotentRequest(models.Model):
    """One accepted key. `response` is null while the first request is still being carried out."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user_id = models.BigIntegerField()
    key = models.CharField(max_length=128)
    request_sha256 = models.CharField(max_length=64)
    response_status = models.PositiveSmallIntegerField(null=True)
    response = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user_id", "key"], name="one_answer_per_idempotency_key"
            )
        ]
