"""What is costly to build is built once by a test process: its rows and objects are kept, and put back when asked."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Model
from django.test import override_settings

_OF_DJANGO = (Permission, ContentType)
"""Made anew whenever a database is emptied."""


class Kept:
    """What `build` leaves in an empty database and an empty object store."""

    def __init__(self, build: Callable[[], object]) -> None:
        self._build = build
        self._rows: list[dict[str, Any]] | None = None
        self._objects = Path()

    def stand(self, store: Path) -> None:
        """Puts it into the database, which is empty, and into the folder `store`, which is not there yet."""
        if self._rows is None:
            with override_settings(OBJECT_STORE_URL=f"file://{store}"):
                self._build()
            self._keep(store)
            return
        shutil.copytree(self._objects, store)
        with transaction.atomic():
            for found in serializers.deserialize("python", self._rows):
                found.save()
            with connection.cursor() as cursor:
                for sql in connection.ops.sequence_reset_sql(no_style(), _models()):
                    cursor.execute(sql)

    def _keep(self, store: Path) -> None:
        self._rows = [
            row
            for model in _models()
            for row in serializers.serialize("python", model._base_manager.order_by("pk"))
        ]
        folder = tempfile.mkdtemp(prefix="mlplatform-kept-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._objects = Path(folder) / "store"
        shutil.copytree(store, self._objects)


def _models() -> list[type[Model]]:
    """Every table's model, those that others refer to first."""
    everything = serializers.sort_dependencies([(config, None) for config in apps.get_app_configs()])
    return [model for model in everything if model not in _OF_DJANGO]
