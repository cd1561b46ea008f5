"""The REST face as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "mlplatform.api"
    label = "api"
    verbose_name = "REST API"
