"""What happened to a job, appended and never changed: the source of its secondary status transitions."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext, gettext_noop

from jobs.models.training import TrainingJob
from mlplatform.core.text import from_json
from mlplatform.core.translation import translated

_MESSAGES = frozenset(
    {
        gettext_noop("Waiting for a worker"),
        gettext_noop("Starting the training job"),
        gettext_noop("Downloading input data"),
        gettext_noop("Training in progress"),
        gettext_noop("Uploading generated training model"),
        gettext_noop("Stopping the training job"),
        gettext_noop("Training job stopped"),
        gettext_noop("Training job completed"),
    }
)


class JobEvent(models.Model):
    """A change of secondary status (`secondary_status` set) or a note (empty).

    `message` is the English; `said` is the same with its template, null where the platform did not word it.
    """

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="events")
    attempt = models.PositiveIntegerField()
    secondary_status = models.CharField(max_length=20, blank=True)
    message = models.CharField(max_length=1000)
    said = models.JSONField(null=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]  # not by time: the clock may have been set back in between

    def __str__(self) -> str:
        return f"{self.secondary_status or 'note'}: {self.message_shown}"

    @property
    def message_shown(self) -> str:
        """The message in the active language; without a template, only where it is one of those that every job has."""
        if self.said:
            return translated(from_json(self.said))
        return gettext(self.message) if self.message in _MESSAGES else self.message
