"""The floor as a Django application."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "mlplatform.core"

    def ready(self) -> None:
        from mlplatform.core.people.sessions import sessions_watch
        from mlplatform.core.people.users import users_watch

        users_watch()
        sessions_watch()
        import_module("mlplatform.core.health.checks")
        import_module("mlplatform.core.keeping.floor")
        import_module("mlplatform.core.uploads.services")
