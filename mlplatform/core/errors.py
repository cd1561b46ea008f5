"""The one tree of errors that the platform raises for its users.

Services, selectors and the Django-free packages raise these; each face (pages, REST, the model server) translates them
once into its own form. What is not in this tree is a bug of ours and answers 500. Only `TransientError` is retried.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from mlplatform.core.text import Text, text_join
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request: `field` is a dotted path such as `hyperparameters.k`."""

    field: str
    message: str


def _named(error: FieldError) -> str:
    return Text("{field}: {message}", {"field": error.field, "message": error.message})


class PlatformError(Exception):
    """Base of all errors a user may see. `code` is the service's error code, `http_status` what it answers with."""

    code: ClassVar[str] = "InternalFailure"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errors: tuple[FieldError, ...] = tuple(errors)


class InvalidRequest(PlatformError):
    """A field's value is not acceptable; says the field, the value and what would be accepted."""

    code = "ValidationException"
    http_status = 400

    @classmethod
    def for_field(cls, field_name: str, message: str) -> InvalidRequest:
        return cls.for_fields([FieldError(field_name, message)])

    @classmethod
    def for_fields(cls, errors: Iterable[FieldError]) -> InvalidRequest:
        found = tuple(errors)
        return cls(text_join("; ", map(_named, found)), errors=found)


class NotAuthenticated(PlatformError):
    code = "MissingAuthenticationTokenException"
    http_status = 401


class AccessDenied(PlatformError):
    code = "AccessDeniedException"
    http_status = 403


class NotFound(PlatformError):
    """The object does not exist, or belongs to a project that the caller must not know of."""

    code = "ResourceNotFound"
    http_status = 404


class Conflict(PlatformError):
    """The name is taken, or the object is in a state that does not allow this."""

    code = "ResourceInUse"
    http_status = 409


class RequestTimeout(PlatformError):
    """The request's body stopped coming; what had come may have been kept."""

    code = "RequestTimeout"
    http_status = 408


class PreconditionFailed(PlatformError):
    """The caller speaks another version of a protocol."""

    code = "PreconditionFailed"
    http_status = 412


class Locked(PlatformError):
    """Another request is at it; the same may be tried again in a moment."""

    code = "ResourceLocked"
    http_status = 423


class LimitExceeded(PlatformError):
    """A quota is used up; the message has the limit and the current use."""

    code = "ResourceLimitExceeded"
    http_status = 400


class TooLarge(PlatformError):
    code = "RequestEntityTooLarge"
    http_status = 413


class UnsupportedMediaType(PlatformError):
    code = "UnsupportedMediaType"
    http_status = 415


class ModelError(PlatformError):
    """The model server answered with an error of the model's own."""

    code = "ModelError"
    http_status = 424


class Throttled(PlatformError):
    code = "ThrottlingException"
    http_status = 429


class ServiceUnavailable(PlatformError):
    code = "ServiceUnavailable"
    http_status = 503


class InsufficientStorage(PlatformError):
    """A disk has less room than must stay free: refused before any of it was kept. An operator has to make room."""

    code = "InsufficientStorage"
    http_status = 507


class TransientError(PlatformError):
    """A dependency (database, broker, store) is away for a moment: the only error that is retried."""

    code = "ServiceUnavailable"
    http_status = 503


class StorageFull(InsufficientStorage, TransientError):
    """The disk itself had no room for a write. Nothing of it was kept; it works again as soon as there is room."""


class StorageReadOnly(TransientError):
    """A disk takes no writes at all. What is there can still be read."""


@dataclass
class DataError(Exception):
    """A cell, row or file of user data that cannot be used.

    Args:
        message: What is wrong and what would be accepted, without the place.
        row: Number of the data row, from 1, header not counted; None when the whole file is meant.
        column: Name of the column (or its position from 0 as text), if one is meant.
        value: The offending text, shortened to 80 characters.
    """

    message: str
    row: int | None = None
    column: str | None = None
    value: str | None = field(default=None)

    def __post_init__(self) -> None:
        if self.value is not None and len(self.value) > 80:
            self.value = self.value[:77] + "..."
        super().__init__(str(self))

    def __str__(self) -> str:
        return str(self.text)

    @property
    def text(self) -> str:
        """The message with the place before it."""
        if self.row is None and self.column is None:
            return self.message
        if self.column is None:
            return _("row {row}: {message}", row=self.row, message=self.message)
        if self.row is None:
            return _("column '{column}': {message}", column=self.column, message=self.message)
        return _(
            "row {row}, column '{column}': {message}", row=self.row, column=self.column, message=self.message
        )
