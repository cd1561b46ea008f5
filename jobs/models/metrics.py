"""Metrics of a job: points in chunks, and a summary row per metric so that lists never touch history."""

from __future__ import annotations

from django.db import models

from jobs.models.training import TrainingJob


class MetricChunk(models.Model):
    """Consecutive points of one metric: `points` is a list of [milliseconds since the epoch, step, value].

    In a full chunk it is {"thin": a few of them with the extremes, "points": all}; see `jobs.metric_points`.
    """

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="metric_chunks")
    name = models.CharField(max_length=255)
    first_step = models.BigIntegerField()
    points = models.JSONField()

    class Meta:
        ordering = ["first_step"]
        constraints = [
            models.UniqueConstraint(fields=["job", "name", "first_step"], name="one_metric_chunk_per_step")
        ]


class MetricSummary(models.Model):
    """One metric of one job. A step counts the metric's points from 0."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="metric_summaries")
    name = models.CharField(max_length=255)
    n_points = models.BigIntegerField(default=0)
    last = models.FloatField(null=True)
    minimum = models.FloatField(null=True)
    maximum = models.FloatField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["job", "name"], name="one_summary_per_metric")]

    def __str__(self) -> str:
        return f"{self.name} = {self.last}"
