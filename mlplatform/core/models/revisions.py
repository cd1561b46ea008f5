"""Counters that change with what they name, so that a reader can ask cheaply whether anything is new."""

from __future__ import annotations

from django.db import models


class Revision(models.Model):
    """`routing` changes with every endpoint, replica, membership and access key."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.value}"
