"""The pages of the platform."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "mlplatform.web"
    label = "web"
    default_auto_field = "django.db.models.BigAutoField"
