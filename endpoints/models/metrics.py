"""Traffic of an endpoint: one row per variant and minute, with a mergeable latency histogram."""

from __future__ import annotations

from django.db import models

from endpoints.models.endpoints import Endpoint


class EndpointMetric(models.Model):
    """Counts of one minute. `latency` is a histogram of milliseconds as JSON (endpoints.gateway.histogram).

    `busy_ms` is the time of all requests together, which is what is billed of a model server that nobody keeps running;
    `n_cold` how many waited for one to start, `n_throttled` how many were refused as too many.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="metrics")
    variant = models.CharField(max_length=63)
    minute_at = models.DateTimeField()
    n_requests = models.BigIntegerField(default=0)
    n_4xx = models.BigIntegerField(default=0)
    n_5xx = models.BigIntegerField(default=0)
    n_model_errors = models.BigIntegerField(default=0)
    n_throttled = models.BigIntegerField(default=0)
    n_cold = models.BigIntegerField(default=0)
    busy_ms = models.BigIntegerField(default=0)
    latency = models.JSONField(default=dict)

    class Meta:
        ordering = ["minute_at"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "variant", "minute_at"], name="one_metric_per_minute")
        ]
        indexes = [models.Index(fields=["endpoint", "minute_at"], name="metrics_by_minute")]
