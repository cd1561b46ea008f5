"""The room of datasets and training jobs as a Django application."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        import_module("jobs.keeping")
        import_module("jobs.sweeping")
        import_module("jobs.doctor")
