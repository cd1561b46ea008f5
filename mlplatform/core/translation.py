"""Messages in the language of the request. Called by the faces, where a message is shown."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, TypeVar

from django.utils.translation import gettext

from mlplatform.core.errors import FieldError, PlatformError
from mlplatform.core.text import Text

E = TypeVar("E", bound=PlatformError)


def translated(message: str) -> str:
    """A Text in the active language; other strings as they are."""
    if not isinstance(message, Text):
        return message
    return gettext(message.template).format(
        **{name: _parameter(value) for name, value in message.params.items()}
    )


def translated_errors(errors: Iterable[FieldError]) -> tuple[FieldError, ...]:
    """The same complaints in the active language."""
    return tuple(FieldError(error.field, translated(error.message)) for error in errors)


def translated_error(error: E) -> E:
    """A copy of the error that speaks the active language."""
    found = copy(error)
    found.message = translated(error.message)
    found.errors = translated_errors(error.errors)
    return found


def _parameter(value: Any) -> Any:
    return translated(value) if isinstance(value, Text) else value
