"""Values by name, as a person gave them (hyperparameters, environment, tags), read back in the order of the names.

Postgres keeps the names of a JSON object in an order of its own, shorter ones first; nobody should see another order
than on SQLite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _JSONField = models.JSONField[Any, Any]
else:
    _JSONField = models.JSONField


class NamedValuesField(_JSONField):
    """A JSON object in the database; a `dict` in the order of its names when it was read."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        found = super().from_db_value(value, expression, connection)
        return dict(sorted(found.items())) if isinstance(found, dict) else found

    def deconstruct(self) -> Any:
        """To the database, and so to migrations, it is plain JSON."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
