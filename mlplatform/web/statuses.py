"""Statuses as pages show them: a translated word beside the service's own string, and an icon per tone."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext, gettext_noop

STATUS_ICONS: Final = {
    "waiting": "clock",
    "active": "loader-circle",
    "good": "circle-check",
    "warning": "triangle-alert",
    "bad": "circle-x",
    "neutral": "circle-dashed",
}

_WORDS: Final = {
    "Pending": gettext_noop("Pending"),
    "Starting": gettext_noop("Starting"),
    "Downloading": gettext_noop("Downloading"),
    "Training": gettext_noop("Training"),
    "Uploading": gettext_noop("Uploading"),
    "Deploying": gettext_noop("Deploying"),
    "Evaluating": gettext_noop("Evaluating"),
    "Skipped": gettext_noop("Skipped"),
    "EarlyStopped": gettext_noop("EarlyStopped"),
    "NoMetric": gettext_noop("NoMetric"),
    "InProgress": gettext_noop("InProgress"),
    "Creating": gettext_noop("Creating"),
    "Updating": gettext_noop("Updating"),
    "RollingBack": gettext_noop("RollingBack"),
    "Draining": gettext_noop("Draining"),
    "Deleting": gettext_noop("Deleting"),
    "Stopping": gettext_noop("Stopping"),
    "Stopped": gettext_noop("Stopped"),
    "Gone": gettext_noop("Gone"),
    "MaxRuntimeExceeded": gettext_noop("MaxRuntimeExceeded"),
    "Interrupted": gettext_noop("Interrupted"),
    "Completed": gettext_noop("Completed"),
    "InService": gettext_noop("InService"),
    "Failed": gettext_noop("Failed"),
    "Alive": gettext_noop("Alive"),
    "Silent": gettext_noop("Silent"),
    "Ended": gettext_noop("Ended"),
    "Served": gettext_noop("Served"),
    "Nobody serves it": gettext_noop("Nobody serves it"),
    "No worker serves it": gettext_noop("No worker serves it"),
    "No host serves it": gettext_noop("No host serves it"),
    "Active": gettext_noop("Active"),
    "Revoked": gettext_noop("Revoked"),
    "Expired": gettext_noop("Expired"),
    "Done": gettext_noop("Done"),
    "Refused": gettext_noop("Refused"),
}


def status_word(value: str) -> str:
    """The status in the reader's language; the service's own string in English and where there is no translation."""
    return gettext(_WORDS[value]) if value in _WORDS else value
