"""What things cost that are no more."""

from __future__ import annotations

from django.db import models

from mlplatform.core.models import Project


class SpentRecord(models.Model):
    """The cost of something, written down when its row was deleted: what was spent stays spent.

    `kind` and `detail` are as the list of costs has them (`endpoints.selectors.costs`); `amount` has its currency.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="spent_records")
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=63)
    detail = models.CharField(max_length=80, blank=True)
    seconds = models.FloatField()
    amount = models.DecimalField(max_digits=20, decimal_places=9)
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["project", "at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
