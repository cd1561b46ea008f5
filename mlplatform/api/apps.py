"""The REST face as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "mlplatform.api"
    label = "api"
    verbose_name = "REST API"

    def ready(self) -> None:
        # drf-spectacular learns of the Bearer scheme by the class being defined.
        from mlplatform.api import schema  # noqa: F401
