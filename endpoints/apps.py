"""The room of models and endpoints as a Django application."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class EndpointsConfig(AppConfig):
    name = "endpoints"

    def ready(self) -> None:
        import_module("endpoints.keeping")
        import_module("endpoints.revision_wakes")
        import_module("endpoints.runs_elsewhere")
        import_module("endpoints.sweeping")
        import_module("endpoints.doctor")
        import_module("endpoints.doctor_capture")
