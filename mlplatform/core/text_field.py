"""A model's list of messages, kept with their templates: what was said once can be shown in every language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from mlplatform.core.text import from_json, to_json

if TYPE_CHECKING:
    _JSONField = models.JSONField[Any, Any]
else:
    _JSONField = models.JSONField


class TextListField(_JSONField):
    """JSON in the database, a list of `str` (Text, or plain) in Python."""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, list):
            value = [to_json(message) for message in value]
        return super().get_prep_value(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        found = super().from_db_value(value, expression, connection)
        return [from_json(message) for message in found] if isinstance(found, list) else found

    def deconstruct(self) -> Any:
        """To the database, and so to migrations, it is plain JSON."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
