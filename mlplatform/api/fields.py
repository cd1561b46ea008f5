"""Serializer bases that take nothing but what they declare: no unknown field, no number for a text.

The framework's own fields convert ("1" is 1, 1 is "1"); a client's slip would then pass unseen. Forms and
queries are text by nature, so their serializers use the framework's fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlplatform.api.schema_parts import NAME_SCHEMA
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.names import name_check
from mlplatform.core.translation import translated


class Answer(serializers.Serializer[Any]):
    """Documents what a presenter builds; never runs while a request is answered."""


class StrictSerializer(serializers.Serializer[Any]):
    """A request: every field that is not declared is refused, with those that are.

    `repeated` are the fields that a query string may have more than once: lists.
    """

    strict = True
    repeated: ClassVar[frozenset[str]] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                message = _("unknown field; accepted are %(names)s") % {"names": ", ".join(self.fields)}
                raise serializers.ValidationError({name[:80]: [message] for name in unknown})
        return super().to_internal_value(data)


class NoFields(StrictSerializer):
    """The body of a request that has nothing to say: none, or `{}`."""


class TextField(serializers.CharField):
    """Text as it was sent, blanks included."""

    default_error_messages = {"not_text": _("{value} is not a text")}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        if not kwargs.get("allow_blank"):
            kwargs.setdefault("min_length", 1)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text", value=_shown(data))
        return super().to_internal_value(data)


@extend_schema_field(NAME_SCHEMA)
class NameField(TextField):
    """A name by the rule of names."""

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        try:
            return name_check(name, field=str(self.field_name))
        except InvalidRequest as error:
            raise serializers.ValidationError([translated(item.message) for item in error.errors]) from None


_RANGE_MESSAGES = {
    "min_value": _("%(value)s is too small; use {min_value} or more"),
    "max_value": _("%(value)s is too large; use {max_value} or less"),
}


class WholeNumberField(serializers.IntegerField):
    """A JSON number without a fraction."""

    default_error_messages = {
        "not_whole": _("{value} is not a whole number"),
        **_RANGE_MESSAGES,
    }

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or not float(data).is_integer():
            self.fail("not_whole", value=_shown(data))
        return super().to_internal_value(int(data))


class QueryNumberField(serializers.IntegerField):
    """A whole number in a query string."""

    default_error_messages = {"not_whole": _("{value} is not a whole number"), **_RANGE_MESSAGES}

    def to_internal_value(self, data: Any) -> int:
        try:
            return super().to_internal_value(data)
        except (serializers.ValidationError, ValueError):
            self.fail("not_whole", value=_shown(data))


class NumberField(serializers.FloatField):
    """A finite JSON number."""

    default_error_messages = {
        "not_number": _("{value} is not a number"),
        **_RANGE_MESSAGES,
    }

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("not_number", value=_shown(data))
        try:
            number = float(data)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail("not_number", value=_shown(data))
        return super().to_internal_value(number)


class OneOfField(serializers.ChoiceField):
    """One of the declared texts."""

    default_error_messages = {"invalid_choice": _("{given} is not accepted; use one of {choices}")}

    def fail(self, key: str, **values: Any) -> NoReturn:
        given = _shown(values.get("input"))
        super().fail(key, given=given, choices=", ".join(map(str, self.choices)), **values)


class FlagField(serializers.BooleanField):
    """true or false."""

    default_error_messages = {"not_flag": _("{value} is neither true nor false")}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("not_flag", value=_shown(data))
        return bool(data)


@extend_schema_field(
    {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": 128},
        "additionalProperties": {"type": "string", "maxLength": 256},
        "maxProperties": 50,
    }
)
class TextMapField(serializers.DictField):
    """Texts by name: tags, environment variables."""

    default_error_messages = {
        "too_many": _("has {n} entries; at most {limit} are accepted"),
        "bad_key": _("{given} is not a key; use 1 to 128 characters"),
    }

    entries_max = 50
    value_max = 256

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=TextField(allow_blank=True, max_length=self.value_max), **kwargs)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, dict):
            if len(data) > self.entries_max:
                self.fail("too_many", n=len(data), limit=self.entries_max)
            for key in data:
                if not 1 <= len(key) <= 128 or "\0" in key:
                    self.fail("bad_key", given=_shown(key))
        return dict(super().to_internal_value(data))


_VARIABLES: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"},
}


@extend_schema_field(
    _VARIABLES | {"additionalProperties": {"type": "string", "maxLength": 512}, "maxProperties": 100}
)
class JobEnvironmentField(TextMapField):
    """Environment variables of a training job; which names are the platform's own, the service says."""

    entries_max = 100
    value_max = 512


@extend_schema_field(
    _VARIABLES | {"additionalProperties": {"type": "string", "maxLength": 1024}, "maxProperties": 16}
)
class ModelEnvironmentField(TextMapField):
    """Environment variables of a model server; which names are the platform's own, the service says."""

    entries_max = 16
    value_max = 1024


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
