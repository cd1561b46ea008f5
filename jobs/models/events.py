"""What happened to a job, appended and never changed: the source of its secondary status transitions."""

from __future__ import annotations

from django.db import models

from jobs.models.training import TrainingJob


class JobEvent(models.Model):
    """A change of secondary status (`secondary_status` set) or a note (empty)."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="events")
    attempt = models.PositiveIntegerField()
    secondary_status = models.CharField(max_length=20, blank=True)
    message = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.secondary_status or 'note'}: {self.message}"
