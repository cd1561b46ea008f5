"""A model's messages, one or a list, kept with their templates: what was said once can be shown in every language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

from mlplatform.core.text import Text, from_json, to_json

if TYPE_CHECKING:
    _JSONField = models.JSONField[Any, Any]
    _TextField = models.TextField[Any, Any]
else:
    _JSONField = models.JSONField
    _TextField = models.TextField

_TEMPLATE_MARK = "\x1f"
"""Begins what is a template in the database; no plain text may begin with it."""


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


class MessageField(_TextField):
    """Text in the database, a `str` (Text, or plain) in Python."""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Text):
            return _TEMPLATE_MARK + json.dumps(to_json(value), ensure_ascii=False)
        if isinstance(value, str):
            value = value.lstrip(_TEMPLATE_MARK)
        return super().get_prep_value(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if isinstance(value, str) and value.startswith(_TEMPLATE_MARK):
            return from_json(json.loads(value.removeprefix(_TEMPLATE_MARK)))
        return value

    def deconstruct(self) -> Any:
        """To the database, and so to migrations, it is plain text."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs
